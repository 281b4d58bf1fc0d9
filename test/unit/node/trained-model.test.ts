/** Where a trained model may go, found out before there is one, and what a write that fails leaves behind. */

import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { requireWritable, writeModel } from '../../../node/run/trained-model.ts'

async function freshFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'starling-trained-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

test('a folder that can be made is fine and is not made; one below a file is refused, by name', async () => {
  const folder = await freshFolder()
  await requireWritable(join(folder, 'runs', 'first'))
  expect(await readdir(folder)).toEqual([])
  const file = join(folder, 'notes.txt')
  await writeFile(file, 'text')
  const refused = { code: 'STORAGE_FAILED', hint: expect.stringContaining('--output') }
  await expect(requireWritable(file)).rejects.toMatchObject({
    ...refused,
    message: expect.stringContaining(file),
  })
  await expect(requireWritable(join(file, 'runs'))).rejects.toMatchObject(refused)
})

test('a model that cannot be put in its place leaves nothing half done beside it', async () => {
  const folder = await freshFolder()
  const taken = join(folder, 'model.onnx')
  await mkdir(join(taken, 'kept'), { recursive: true })
  await expect(writeModel(taken, Uint8Array.of(1))).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  expect(await readdir(folder)).toEqual(['model.onnx'])
})

test('a model takes the place of an older one, in a folder that may be written and not read', async () => {
  const folder = await freshFolder()
  const path = join(folder, 'runs', 'model.onnx')
  await writeModel(path, Uint8Array.of(1, 2, 3))
  await chmod(dirname(path), 0o300)
  onTestFinished(() => chmod(dirname(path), 0o700))
  await writeModel(path, Uint8Array.of(4))
  expect([...(await readFile(path))]).toEqual([4])
})
