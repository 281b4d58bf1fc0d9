/** A store on a disk that spoils blocks, while several read and write one of them. */
import type { CID } from 'multiformats/cid'
import { code } from 'multiformats/codecs/raw'
import { expect, test } from 'vitest'
import { cidOf } from '../../../protocols/shards/block.ts'
import { blockStore } from '../../../protocols/shards/store.ts'

test('a good block that is put while a spoiled one is being read stays, and is what the reader gets', async () => {
  const good = Uint8Array.of(1, 2, 3)
  const cid = await cidOf(good, code)
  const disk = new Map<string, Uint8Array>([[cid.toString(), Uint8Array.of(1, 2, 4)]])
  const { promise: isPut, resolve: goOn } = Promise.withResolvers<void>()
  const reads: Uint8Array[] = []
  const store = blockStore({
    has: (key: CID) => disk.has(key.toString()),
    async *get(key: CID) {
      const bytes = disk.get(key.toString())!
      reads.push(bytes)
      if (reads.length === 1) await isPut
      yield bytes
    },
    put: async (key: CID, bytes: Uint8Array) => void disk.set(key.toString(), bytes),
    delete: async (key: CID) => void disk.delete(key.toString()),
  } as never)
  const reading = store.get(cid)
  await store.put(cid, good)
  goOn()
  expect(await reading).toEqual(good)
  expect(reads.map((bytes) => bytes[2])).toEqual([4, 3])
  expect(disk.get(cid.toString())).toEqual(good)
})
