/** Files as blocks: names, order and sizes. */

import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { expect, test } from 'vitest'
import { cidOf, decodeFileIndex, isBlock, memoryStore, putFile } from '../../../protocols/shards/index.ts'

const size = (2 << 20) + 3
const bytes = Uint8Array.from({ length: size }, (_, index) => (index * 7 + (index >> 12)) & 0xff)

test('the CID of a block is the one that every IPFS tool gives it', async () => {
  const cid = await cidOf(new TextEncoder().encode('hello'), raw.code)
  expect(cid.toString()).toBe('bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq')
  expect(await isBlock(cid, new TextEncoder().encode('hello'))).toBe(true)
  expect(await isBlock(cid, new TextEncoder().encode('hellp'))).toBe(false)
})

test('a file is cut into blocks of 1 MiB in order, and its index says how long it is', async () => {
  const store = memoryStore()
  const root = await putFile(store, bytes)
  const { chunks, size: indexed } = decodeFileIndex((await store.get(root))!)
  expect(indexed).toBe(size)
  const parts = await Promise.all(chunks.map((cid) => store.get(cid)))
  expect(parts.map((part) => part!.byteLength)).toEqual([1 << 20, 1 << 20, 3])
  expect(Buffer.concat(parts.map((part) => part!)).equals(bytes)).toBe(true)
})

test('the same bytes have the same name, and an empty file is a file', async () => {
  const names = await Promise.all(
    [bytes, bytes.slice(), new Uint8Array()].map((file) => putFile(memoryStore(), file)),
  )
  expect(names[0]!.equals(names[1]!)).toBe(true)
  expect(names[2]!.toString()).toBe('bafyreigqrzxw3jdcazizgermpj54g645g2o5zcnvp34yejikwmvoo453ha')
})

test('an index that does not add up is refused', async () => {
  const chunk = await cidOf(Uint8Array.of(1), raw.code)
  const foreign = CID.parse('QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn')
  for (const index of [
    { v: 1, size: 1, chunks: [] },
    { v: 1, size: 1, chunks: [chunk, chunk] },
    { v: 1, size: 2 ** 33, chunks: [chunk] },
    { v: 2, size: 1, chunks: [chunk] },
    { v: 1, size: 1, chunks: [foreign] },
    { v: 1, size: 1, chunks: [chunk], more: true },
  ]) {
    expect(() => decodeFileIndex(dagCbor.encode(index))).toThrow(
      expect.objectContaining({ code: 'MESSAGE_INVALID' }),
    )
  }
  expect(decodeFileIndex(dagCbor.encode({ v: 1, size: 1, chunks: [chunk] })).size).toBe(1)
})
