/**
 * Folders of images: classes by name, splits by folder or by seed, channels first, and the same after travelling as
 * blocks.
 */
import * as dagCbor from '@ipld/dag-cbor'
import { encode } from 'jpeg-js'
import { describe, expect, test } from 'vitest'
import { batch } from '../../../data/batch.ts'
import { readDataIndex } from '../../../data/data-index.ts'
import type { FolderFile } from '../../../data/folder.ts'
import { imageFolder } from '../../../data/image-folder.ts'
import { decodeDataSet, encodeDataSet } from '../../../data/shards.ts'

/** A JPEG of one colour, which the codec keeps to within two of 255. */
function jpeg(path: string, [r, g, b]: readonly number[], width = 8, height = 16): FolderFile {
  const data = new Uint8Array(4 * width * height)
  for (let k = 0; k < data.length; k += 4) data.set([r!, g!, b!, 255], k)
  return { path, bytes: new Uint8Array(encode({ width, height, data }, 100).data) }
}

const [red, blue] = [
  [200, 10, 20],
  [10, 20, 200],
]
const split = [
  jpeg('train/tulip/1.jpg', red!),
  jpeg('train/iris/2.jpeg', blue!),
  jpeg('train/iris/1.JPG', blue!),
  jpeg('test/tulip/9.jpg', red!),
  { path: 'train/notes.txt', bytes: new Uint8Array(3) },
]
const options = { validation: 0.25, seed: 1 }

test('classes are numbered by name, files ordered by path, and pixels stand channel by channel', () => {
  const { kind, classes, train, validation } = imageFolder(split, options)
  expect([kind, classes, train.count, validation.count]).toEqual(['images', 2, 3, 1])
  expect([...train.fields.y.data]).toEqual([0, 0, 1])
  expect([...validation.fields.y.data]).toEqual([1])
  expect(train.fields.x.sampleShape).toEqual([3, 16, 8])
  const planes = [0, 1, 2].map((channel) => train.fields.x.data[2 * 3 * 128 + channel * 128]!)
  for (const [channel, value] of planes.entries()) expect(Math.abs(value - red![channel]!)).toBeLessThan(4)
})

test('without splits a share of each class validates, the same for the same seed', () => {
  const files = ['a', 'b'].flatMap((label) =>
    Array.from({ length: 8 }, (_, k) => jpeg(`${label}/${k}.jpg`, [20 * k, 0, 0])),
  )
  const first = imageFolder(files, options)
  expect([first.train.count, first.validation.count]).toEqual([12, 4])
  expect([...first.validation.fields.y.data].sort()).toEqual([0, 0, 1, 1])
  expect(imageFolder(files.toReversed(), options)).toEqual(first)
  expect(imageFolder(files, { ...options, seed: 2 })).not.toEqual(first)
})

test('mean and deviation of the channels travel with the blocks, and are applied to a batch', async () => {
  const normal = { mean: [0.5, 0, 0.25], deviation: [0.5, 1, 2] }
  const dataSet = imageFolder(split, { ...options, normal })
  const encoded = await encodeDataSet(dataSet)
  const blocks = new Map(encoded.blocks.map(({ cid, bytes }) => [cid.toString(), bytes]))
  const there = decodeDataSet(readDataIndex(encoded.blocks[0]!.bytes), (cid) => blocks.get(cid.toString()))
  expect(there).toEqual(dataSet)
  const spec = {
    inputs: [{ name: 'x', dtype: 'float32', shape: [1, 3, 16, 8] }],
    labels: { dtype: 'int32', shape: [1] },
  } as const
  const { data } = batch(there.train, [2], spec).inputs.x!
  const raw = there.train.fields.x!.data.subarray(2 * 3 * 128)
  for (const [channel, mean] of normal.mean.entries()) {
    const expected = (raw[channel * 128]! / 255 - mean) / normal.deviation[channel]!
    expect(data[channel * 128]).toBeCloseTo(expected, 6)
  }
})

test('an index whose images validate in another shape than they train in is refused', async () => {
  const { blocks } = await encodeDataSet(imageFolder(split, options))
  const index = dagCbor.decode<{ validation: { x: { sampleShape: number[] } } }>(blocks[0]!.bytes)
  index.validation.x.sampleShape = [3, 8, 16]
  expect(() => readDataIndex(dagCbor.encode(index))).toThrow(/validate have the shape 3x8x16.*3x16x8/)
})

test('images of different sizes become squares of the size that is asked for', () => {
  const wide = jpeg('train/iris/3.jpg', red!, 30, 16)
  const { train, validation } = imageFolder([...split, wide], { ...options, size: 4 })
  expect([train.count, train.fields.x.sampleShape, validation.fields.x.sampleShape]).toEqual([
    4,
    [3, 4, 4],
    [3, 4, 4],
  ])
  const planes = [0, 16, 32].map((at) => train.fields.x.data[2 * 48 + at]!)
  for (const [channel, value] of planes.entries()) expect(Math.abs(value - red![channel]!)).toBeLessThan(4)
})

describe('a folder is refused', () => {
  test.each([
    ['with an image of another size', [...split, jpeg('train/iris/3.jpg', red!, 16, 16)], '16 x 16 pixels'],
    [
      'with a file that is no JPEG',
      [...split, { path: 'train/iris/0.jpg', bytes: new Uint8Array(9) }],
      '0.jpg is not',
    ],
    ['with nothing to validate', split.slice(0, 3), 'to validate with'],
    ['without images', [], 'to train with'],
  ])('%s', (_, files, message) => {
    expect(() => imageFolder(files, options)).toThrow(
      expect.objectContaining({ code: 'DATA_INVALID', message: expect.stringContaining(message) }),
    )
  })
})
