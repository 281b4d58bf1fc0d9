import { createHash } from 'node:crypto'
import * as dagCbor from '@ipld/dag-cbor'
import type { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'
import { describe, expect, test } from 'vitest'
import { chunkBytesOf, chunksOf, readDataIndex } from '../../../data/data-index.ts'
import { type DataSet, imageSplit, type Split } from '../../../data/data-set.ts'
import { glyphs } from '../../../data/glyphs.ts'
import { decodeDataSet, type EncodedDataSet, encodeDataSet } from '../../../data/shards.ts'
import { textDataSet } from '../../../data/text.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'
import { blockBytesMax } from '../../../protocols/core/limits.ts'

const images = glyphs({ seed: 1, train: 3000, validation: 20 })
const text = textDataSet(new TextEncoder().encode('to be, or not to be: that is the question'.repeat(40)), {
  context: 16,
  split: 0.9,
})

function decode({ blocks }: EncodedDataSet): DataSet {
  const store = new Map(blocks.map(({ cid, bytes }) => [cid.toString(), bytes]))
  return decodeDataSet(readDataIndex(blocks[0]!.bytes), (cid) => store.get(cid.toString()))
}

/** `dataSet` with a hash for each array, since comparing millions of elements one by one takes seconds. */
function digested(dataSet: DataSet) {
  const digest = (data: Uint8Array | Int32Array | Float32Array) =>
    `${data.constructor.name} ${createHash('sha256').update(data).digest('hex')}`
  const split = ({ count, fields }: Split) => ({
    count,
    fields: Object.entries(fields).map(([name, field]) => [name, { ...field, data: digest(field.data) }]),
  })
  return { ...dataSet, train: split(dataSet.train), validation: split(dataSet.validation) }
}

/** The index of `encoded`, as anybody could have changed it. */
function changedIndex(encoded: EncodedDataSet, change: (index: Loose) => unknown): Uint8Array {
  const index = dagCbor.decode<Loose>(encoded.blocks[0]!.bytes)
  change(index)
  return dagCbor.encode(index)
}
const set = (target: Record<string, unknown>, key: string, value: unknown) => Reflect.set(target, key, value)
type Loose = Record<string, unknown> & { train: Record<string, unknown> & { x: Record<string, unknown> } }

describe('a data set as blocks', () => {
  test('comes back as it was, images and text', async () => {
    for (const dataSet of [images, text]) {
      expect(digested(decode(await encodeDataSet(dataSet)))).toEqual(digested(dataSet))
    }
  })

  test('comes back when a text just fills its last block', async () => {
    // 0.5 of it trains: one whole block, fewer tokens from the next than a window has
    const bytes = new Uint8Array(2 * blockBytesMax).fill(97)
    const encoded = await encodeDataSet(textDataSet(bytes, { context: 16, split: 0.5 }))
    expect(encoded.blocks).toHaveLength(3)
    expect(decode(encoded).train.count).toBe(blockBytesMax - 16)
    expect(chunkBytesOf(readDataIndex(encoded.blocks[0]!.bytes)) + encoded.blocks[0]!.bytes.length).toBe(
      encoded.bytes,
    )
  })

  test('has a name that only its content decides', async () => {
    expect((await encodeDataSet(images)).root.toString()).toMatchInlineSnapshot(
      `"bafyreid7zdwmuqaoxw3gcptjr4bwd3hgzsvpw4x7zutokkoyp76guux7fq"`,
    )
    expect((await encodeDataSet(text)).root.toString()).toMatchInlineSnapshot(
      `"bafyreia3vnrz2djydvgb26bt7sr52thwgdup6g7e7xd4yqvr3dzbvgzwhq"`,
    )
    const again = await encodeDataSet(glyphs({ seed: 1, train: 3000, validation: 20 }))
    expect(again.root.toString()).toBe((await encodeDataSet(images)).root.toString())
  })

  test('is cut into whole samples within the block limit, each block under its own hash', async () => {
    const { blocks, bytes } = await encodeDataSet(images)
    const pixels = blocks.filter(({ bytes }) => bytes.length % 784 === 0)
    expect(pixels.map(({ bytes }) => bytes.length / 784)).toEqual([1337, 1337, 326, 20])
    expect(bytes).toBe(blocks.reduce((sum, block) => sum + block.bytes.length, 0))
    for (const { cid, bytes } of blocks) {
      expect(bytes.length).toBeLessThanOrEqual(blockBytesMax)
      expect(cid.multihash.bytes).toEqual((await sha256.digest(bytes)).bytes)
    }
  })

  test('shares its chunks with the same text cut into other windows', async () => {
    const bytes = new TextEncoder().encode('to be, or not to be: that is the question'.repeat(40))
    const short = await encodeDataSet(textDataSet(bytes, { context: 8, split: 0.9 }))
    const long = await encodeDataSet(text)
    expect(short.root.toString()).not.toBe(long.root.toString())
    expect(chunksOf(readDataIndex(short.blocks[0]!.bytes))).toEqual(
      chunksOf(readDataIndex(long.blocks[0]!.bytes)),
    )
  })

  test('stores tokens as i32 when there are more than 256 characters', async () => {
    const wide = Array.from({ length: 3000 }, (_, i) => String.fromCodePoint(0x4e00 + (i % 700))).join('')
    const dataSet = textDataSet(new TextEncoder().encode(wide), { context: 4, split: 0.9 })
    expect(dataSet.train.fields.x.data).toBeInstanceOf(Int32Array)
    expect(digested(decode(await encodeDataSet(dataSet)))).toEqual(digested(dataSet))
  })

  test('cannot be made of a sample that is larger than a block', async () => {
    const huge = imageSplit(new Uint8Array(blockBytesMax + 1), Uint8Array.of(0), [blockBytesMax + 1])
    const encoding = encodeDataSet({ kind: 'images', classes: 1, train: huge, validation: huge })
    await expect(encoding).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
  })
})

describe('an index block', () => {
  test('is refused when any of its fields is out of place', async () => {
    const encodedImages = await encodeDataSet(images)
    const encodedText = await encodeDataSet(text)
    const cases: Uint8Array[] = [
      new Uint8Array(0),
      Uint8Array.of(0xff, 0x00),
      dagCbor.encode([1, 2, 3]),
      changedIndex(encodedImages, (index) => set(index, 'v', 2)),
      changedIndex(encodedImages, (index) => set(index, 'kind', 'sound')),
      changedIndex(encodedImages, (index) => set(index, 'extra', 1)),
      changedIndex(encodedImages, (index) => set(index, 'classes', 0)),
      changedIndex(encodedImages, ({ train }) => delete train.y),
      changedIndex(encodedImages, ({ train }) => set(train, 'count', 2 ** 32)),
      changedIndex(encodedImages, ({ train }) => set(train, 'count', 30_000)),
      changedIndex(encodedImages, ({ train }) => set(train.x, 'chunks', ['a', 'b', 'c'])),
      changedIndex(encodedImages, ({ train }) => set(train.x, 'sampleShape', [28, 0])),
      changedIndex(encodedImages, ({ train }) => set(train.x, 'sampleShape', [2, 2, 2, 2, 2])),
      changedIndex(encodedImages, ({ train }) => set(train.x, 'dtype', 'int32')),
      changedIndex(encodedText, (index) => set(index, 'classes', 5)),
      changedIndex(encodedText, ({ train }) => set(train, 'y', train.x)),
      changedIndex(encodedText, (index) => delete index.context),
    ]
    for (const [i, bytes] of cases.entries()) {
      expect(() => readDataIndex(bytes), `case ${i}`).toThrow(SwarmError)
    }
    expect(() => readDataIndex(new Uint8Array(blockBytesMax + 1))).toThrow(/over 1048576/)
  })

  test('is refused before anything is allocated when it promises more than a job may have', async () => {
    const encoded = await encodeDataSet(images)
    const bytes = changedIndex(encoded, ({ train }) => {
      const [chunk] = train.x.chunks as CID[]
      train.count = 1337 * 2049
      train.x.chunks = new Array(2049).fill(chunk)
      train.y = { dtype: 'uint8', sampleShape: [], chunks: new Array(3).fill(chunk) }
    })
    expect(() => readDataIndex(bytes)).toThrow(/2147483648/)
  })
})

describe('putting a data set together', () => {
  test('names the block that is missing or has another length', async () => {
    const { blocks } = await encodeDataSet(images)
    const index = readDataIndex(blocks[0]!.bytes)
    const store = new Map(blocks.map(({ cid, bytes }) => [cid.toString(), bytes]))
    const victim = chunksOf(index)[1]!
    expect(() =>
      decodeDataSet(index, (cid) => (cid.equals(victim) ? undefined : store.get(cid.toString()))),
    ).toThrow(new RegExp(`${victim} .*is not here`))
    expect(() =>
      decodeDataSet(index, (cid) => store.get(cid.toString())?.subarray(cid.equals(victim) ? 1 : 0)),
    ).toThrow(new RegExp(`${victim} has 1048207 bytes instead of 1048208`))
  })

  test('refuses a label or a token that is not below the number of classes', async () => {
    for (const dataSet of [images, text]) {
      const encoded = await encodeDataSet({
        ...dataSet,
        classes: dataSet.classes - 1,
        vocabulary: dataSet.vocabulary?.slice(1),
      })
      expect(() => decode(encoded)).toThrow(new RegExp(`an id ${dataSet.classes - 1}, but only`))
    }
  })
})
