/** A folder of data on a real disk: what is read of it, and what is said when that fails. */

import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { readFolder } from '../../../node/job/folder-files.ts'

const isArray = (name: string) => name.endsWith('.npy')

async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'starling-test-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

test('files are read down to the classes of a split, and no link is followed out of the folder', async () => {
  const folder = await emptyFolder()
  const outside = await emptyFolder()
  await writeFile(join(outside, 'secret.npy'), 'secret')
  await mkdir(join(folder, 'train/cat/deeper'), { recursive: true })
  for (const path of ['x.npy', 'train/x.npy', 'train/cat/x.npy', 'train/cat/deeper/x.npy', 'train/note.txt'])
    await writeFile(join(folder, path), path)
  await symlink(join(outside, 'secret.npy'), join(folder, 'link.npy'))
  await symlink(outside, join(folder, 'test'))
  const files = await readFolder(folder, isArray)
  expect(files.map(({ path, bytes }) => [path, new TextDecoder().decode(bytes)]).sort()).toEqual(
    ['train/cat/x.npy', 'train/x.npy', 'x.npy'].map((path) => [path, path]),
  )
})

test('a file that goes while its folder is read is named', async () => {
  const folder = await emptyFolder()
  const path = join(folder, 'x.npy')
  await writeFile(path, 'x')
  const { signal } = new AbortController()
  signal.throwIfAborted = () => rmSync(path) // asked before each file
  await expect(readFolder(folder, isArray, { signal })).rejects.toMatchObject({
    code: 'DATA_MISSING',
    message: `${path} cannot be read: there is no such file`,
  })
})

test('a file where a folder is wanted is named as what it is', async () => {
  const path = join(await emptyFolder(), 'houses.csv')
  await writeFile(path, '1,2')
  await expect(readFolder(path, isArray)).rejects.toMatchObject({
    code: 'DATA_MISSING',
    message: `${path} is no folder, and one with files of data is wanted`,
    hint: expect.stringContaining('docs/data.md'),
  })
})
