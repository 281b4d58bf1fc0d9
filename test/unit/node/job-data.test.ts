/** The data of a job as it lies on a disk: what of a folder reaches its reader. */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { encode as encodePng } from 'fast-png'
import { encode as encodeJpeg } from 'jpeg-js'
import { expect, onTestFinished, test } from 'vitest'
import type { SingleInputDataSet } from '../../../data/data-set.ts'
import { openJobData } from '../../../node/job/job-data.ts'

const side = 4

const points = (value: number) => new Uint8Array(3 * side * side).fill(value)
const png = (value: number) => encodePng({ width: side, height: side, channels: 3, data: points(value) })
const jpeg = (value: number) => {
  const data = new Uint8Array(4 * side * side).fill(value)
  return new Uint8Array(encodeJpeg({ width: side, height: side, data }, 100).data)
}

async function folderOf(files: Readonly<Record<string, Uint8Array>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'starling-test-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), bytes)
  }
  return folder
}

const open = (folder: string) =>
  openJobData(
    { kind: 'image_folder', folder, validation: 0.5, seed: 1 },
    { directory: '/', cacheDirectory: '/nowhere' },
  )

test('JPEGs and PNGs of a folder are its images, whatever the case of their names', async () => {
  const folder = await folderOf({
    'train/dark/a.png': png(10),
    'train/light/b.PNG': png(250),
    'train/light/c.jpg': jpeg(240),
    'test/dark/d.jpeg': jpeg(20),
    'test/light/notes.txt': new Uint8Array(3),
  })
  const { train, validation } = (await open(folder)) as SingleInputDataSet
  expect([...train.fields.y.data]).toEqual([0, 1, 1])
  expect([...train.fields.x.data.slice(0, 2 * 3 * side * side)]).toEqual([...points(10), ...points(250)])
  expect([...validation.fields.y.data]).toEqual([0])
})

test('an image of another format is refused by name, not passed over', async () => {
  const folder = await folderOf({ 'dark/a.png': png(10), 'dark/b.png': png(11), 'dark/c.webp': png(12) })
  await expect(open(folder)).rejects.toMatchObject({
    code: 'DATA_INVALID',
    message: 'dark/c.webp is an image of a format that is not read',
  })
})
