/** What blocks of past jobs may take on a disk, and which of them go for a new one. */

import { mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { glyphs } from '../../../data/glyphs.ts'
import { encodeDataSet } from '../../../data/shards.ts'
import { blocksOfJob, KeptBlocks } from '../../../node/storage/kept-blocks.ts'
import { cidOf } from '../../../protocols/shards/block.ts'
import { putFile } from '../../../protocols/shards/index.ts'
import { manifestInit } from '../jobs/example.ts'

const blockBytes = 1_000
const dayMs = 24 * 3_600_000

let folder: string
let kept: KeptBlocks

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'starling-blocks-'))
  kept = await KeptBlocks.open(folder, 5 * blockBytes)
})

afterEach(() => rm(folder, { recursive: true }))

async function files(): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

/** Puts a block of `byte`, last used `ageMs` ago. */
async function put(byte: number, ageMs: number): Promise<CID> {
  const bytes = new Uint8Array(blockBytes).fill(byte)
  const cid = await cidOf(bytes, raw.code)
  const before = await files()
  await kept.store.put(cid, bytes)
  const [path] = (await files()).filter((path) => !before.includes(path))
  const used = (Date.now() - ageMs) / 1000
  await utimes(path!, used, used)
  return cid
}

/** Which of `cids` are still here. */
async function present(cids: readonly CID[]): Promise<boolean[]> {
  return Promise.all(cids.map((cid) => kept.store.has(cid)))
}

test('blocks that were used longest ago go until the new job fits, and no more', async () => {
  const cids = [
    await put(1, 2 * dayMs),
    await put(2, 4 * dayMs),
    await put(3, 3 * dayMs),
    await put(4, dayMs),
  ]
  expect(await kept.makeRoom(blockBytes, [])).toBe(0) // at the limit
  expect(await kept.makeRoom(blockBytes + 1, [])).toBe(blockBytes)
  expect(await present(cids)).toEqual([true, false, true, true])
  expect(await kept.makeRoom(3 * blockBytes, [])).toBe(blockBytes)
  expect(await present(cids)).toEqual([true, false, false, true])
})

test('blocks that are needed stay whatever they take, and count as used from then on', async () => {
  const needed = [await put(1, 9 * dayMs), await put(2, 8 * dayMs)]
  const other = await put(3, dayMs)
  expect(await kept.makeRoom(6 * blockBytes, needed)).toBe(blockBytes)
  expect(await present([...needed, other])).toEqual([true, true, false])
  for (const path of await files()) expect((await stat(path)).mtimeMs).toBeGreaterThan(Date.now() - dayMs)
})

test('what came within the hour is spared: it may belong to something that is being put together', async () => {
  const cids = [await put(1, 0), await put(2, 2 * dayMs)]
  await kept.makeRoom(5 * blockBytes, [])
  expect(await present(cids)).toEqual([true, false])
})

test('what a write left half done counts and goes, also from a time to come', async () => {
  const halves = [join(folder, '.half.data.tmp'), join(folder, '.other.data.tmp')]
  for (const [index, path] of halves.entries()) {
    await writeFile(path, new Uint8Array(3 * blockBytes))
    const used = (Date.now() + (index === 0 ? -1 : 1) * 2 * dayMs) / 1000
    await utimes(path, used, used)
  }
  expect(await kept.makeRoom(5 * blockBytes, [])).toBe(6 * blockBytes)
  expect(await files()).toEqual([])
})

test('the blocks of a job are its model and its data, as far as their lists are here', async () => {
  const { model, data } = manifestInit()
  const manifest = { model, data }
  expect((await blocksOfJob(kept.store, manifest)).map(String)).toEqual([model.cid, data.cid])
  const root = await putFile(kept.store, new Uint8Array(2 ** 20 + 1))
  const encoded = await encodeDataSet(glyphs({ seed: 1, train: 64, validation: 32 }))
  for (const { cid, bytes } of encoded.blocks) await kept.store.put(cid, bytes)
  const whole = {
    model: { ...model, cid: root.toString() },
    data: { ...data, cid: encoded.root.toString() },
  }
  const cids = await blocksOfJob(kept.store, whole)
  const others = encoded.blocks.map(({ cid }) => cid.toString()).filter((cid) => cid !== whole.data.cid)
  expect(cids[0]!.toString()).toBe(root.toString())
  expect(cids.slice(3).map(String).sort()).toEqual([whole.data.cid, ...others].sort())
  expect(await present(cids)).not.toContain(false)
  expect(await blocksOfJob(kept.store, whole, { isModelOnly: true })).toHaveLength(3)
})
