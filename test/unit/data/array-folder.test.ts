/**
 * Folders of arrays: an input each and the labels, splits by folder or by seed, and the same after travelling as
 * blocks.
 */
import * as dagCbor from '@ipld/dag-cbor'
import { describe, expect, test } from 'vitest'
import { arrayFolder } from '../../../data/array-folder.ts'
import { batch } from '../../../data/batch.ts'
import { readDataIndex } from '../../../data/data-index.ts'
import type { DataSet } from '../../../data/data-set.ts'
import type { FolderFile } from '../../../data/folder.ts'
import { decodeDataSet, encodeDataSet } from '../../../data/shards.ts'
import { npyFile } from './npy-file.ts'

const options = { validation: 0.25, seed: 1 }

/** Sample i of 8 has the features i, i + 0.5, the ids 10·i and 10·i + 1, and the class i mod 3. */
function samples(folder: string, first: number, count: number): FolderFile[] {
  const rows = Array.from({ length: count }, (_, i) => first + i)
  return [
    {
      name: 'dense',
      bytes: npyFile('<f4', [count, 2], Float32Array.from(rows.flatMap((i) => [i, i + 0.5]))),
    },
    {
      name: 'ids',
      bytes: npyFile('<i4', [count, 1, 2], Int32Array.from(rows.flatMap((i) => [10 * i, 10 * i + 1]))),
    },
    {
      name: 'y',
      bytes: npyFile(
        '<i8',
        [count],
        BigInt64Array.from(rows, (i) => BigInt(i % 3)),
      ),
    },
  ].map(({ name, bytes }) => ({ path: `${folder}${name}.npy`, bytes }))
}

const spec = {
  inputs: [
    { name: 'ids', dtype: 'int32', shape: [1, 1, 2] },
    { name: 'features', dtype: 'float32', shape: [1, 2] },
  ],
  labels: { dtype: 'int32', shape: [1] },
  fields: { features: 'dense' },
} as const

async function travelled(dataSet: DataSet): Promise<DataSet> {
  const { blocks } = await encodeDataSet(dataSet)
  const store = new Map(blocks.map(({ cid, bytes }) => [cid.toString(), bytes]))
  return decodeDataSet(readDataIndex(blocks[0]!.bytes), (cid) => store.get(cid.toString()))
}

test('each input takes the array of its name, or the one that the job says', async () => {
  const files = [
    ...samples('train/', 0, 5),
    ...samples('val/', 5, 3),
    { path: 'train/notes.txt', bytes: new Uint8Array(1) },
  ]
  const dataSet = arrayFolder(files, options)
  expect([dataSet.kind, dataSet.classes, dataSet.train.count, dataSet.validation.count]).toEqual([
    'arrays',
    3,
    5,
    3,
  ])
  const there = await travelled(dataSet)
  expect(there).toEqual(dataSet)
  const { inputs, labels } = batch(there.train, [4, 1], spec)
  expect(inputs.ids).toEqual({ dtype: 'int32', shape: [2, 1, 2], data: Int32Array.of(40, 41, 10, 11) })
  expect(inputs.features).toEqual({ dtype: 'float32', shape: [2, 2], data: Float32Array.of(4, 4.5, 1, 1.5) })
  expect(labels).toEqual({ dtype: 'int32', shape: [2], data: Int32Array.of(1, 1) })
  expect([...batch(there.validation, [2], spec).inputs.ids!.data]).toEqual([70, 71])
})

test('without splits a seeded share of the samples validates, each with all that belongs to it', () => {
  const { train, validation } = arrayFolder(samples('', 0, 8), options)
  const firsts = [...batch(train, [0, 1, 2, 3, 4, 5], spec).inputs.features!.data].filter(
    (value) => value % 1 === 0,
  )
  const held = [...batch(validation, [0, 1], spec).inputs.features!.data].filter((value) => value % 1 === 0)
  expect([...firsts, ...held].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  expect([train.count, validation.count]).toEqual([6, 2])
  const { inputs, labels } = batch(validation, [1], spec)
  expect([...inputs.ids!.data]).toEqual([10 * held[1]!, 10 * held[1]! + 1])
  expect([...labels.data]).toEqual([held[1]! % 3])
  expect(arrayFolder(samples('', 0, 8).toReversed(), options).validation.fields.y).toEqual(
    validation.fields.y,
  )
  expect(arrayFolder(samples('', 0, 8), { ...options, seed: 3 }).validation).not.toEqual(validation)
})

test('files in Buffers of Node, whose slices share memory, are parted as others are', () => {
  const bytes = npyFile('|u1', [8, 1], Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7))
  const files = samples('', 0, 8).concat({ path: 'x.npy', bytes })
  const buffers = files.map((file) => ({ ...file, bytes: Buffer.from(file.bytes) }))
  expect(arrayFolder(buffers, options)).toEqual(arrayFolder(files, options))
})

test('bytes that are named as pixels are divided by 255, and labels may be values', async () => {
  const files = [
    { path: 'x.npy', bytes: npyFile('|u1', [4, 1], Uint8Array.of(0, 51, 102, 255)) },
    { path: 'y.npy', bytes: npyFile('<f4', [4, 1], Float32Array.of(-1, 0, 2.5, 3)) },
  ]
  const whole = {
    inputs: [{ name: 'image', dtype: 'float32', shape: [1, 1] }],
    labels: { dtype: 'float32', shape: [1, 1] },
  } as const
  const dataSet = await travelled(arrayFolder(files, { ...options, pixels: ['x'] }))
  expect(dataSet.classes).toBe(1)
  const values = [
    ...batch(dataSet.train, [0, 1, 2], whole).inputs.image!.data,
    ...batch(dataSet.validation, [0], whole).inputs.image!.data,
  ]
  expect(values.sort()).toEqual([0, 0.2, 0.4, 1].map(Math.fround))
  expect(() => batch(arrayFolder(files, options).train, [0], whole)).toThrow(
    expect.objectContaining({ hint: expect.stringContaining('data.pixels') }),
  )
})

test('the name of a data set does not depend on the order of its files', async () => {
  const roots = [samples('', 0, 8), samples('', 0, 8).toReversed()].map(async (files) => {
    const { root } = await encodeDataSet(arrayFolder(files, options))
    return root.toString()
  })
  expect(new Set(await Promise.all(roots)).size).toBe(1)
})

describe('a folder is refused', () => {
  const [dense, ids, y] = samples('', 0, 8)
  const class3 = { path: 'y.npy', bytes: npyFile('<i4', [8], Int32Array.of(0, 1, 2, -100, 0, 1, 2, 0)) }
  const class24 = { path: 'y.npy', bytes: npyFile('<i4', [8], Int32Array.of(2 ** 24, 1, 2, 0, 0, 1, 2, 0)) }
  test.each([
    ['that is empty', [], {}, 'no .npy files'],
    ['without labels', [dense!, ids!], {}, 'only dense.npy, ids.npy'],
    ['without inputs', [y!], {}, 'only y.npy'],
    [
      'with fewer samples in one array',
      [dense!, ids!, samples('', 0, 7)[2]!],
      {},
      'dense.npy has 8 samples and y.npy 7',
    ],
    ['with a class below zero', [dense!, class3], {}, 'the class -100'],
    [
      'with splits of different forms',
      [...samples('train/', 0, 4), ...samples('test/', 4, 4).slice(1)],
      {},
      'one that validates is ids',
    ],
    ['with nothing to validate with', samples('train/', 0, 4), {}, 'test has no .npy files'],
    [
      'with one array twice',
      [...samples('train/', 0, 4), ...samples('test/', 4, 4), ...samples('val/', 4, 4)],
      {},
      'twice',
    ],
    [
      'with samples to validate with alone',
      [dense!, y!, ...samples('test/', 0, 4)],
      {},
      'no array in train/',
    ],
    ['with a name that no input has', [{ ...dense!, path: 'données.npy' }, y!], {}, 'données.npy has a name'],
    ['with more classes than there can be', [dense!, class24], {}, 'the class 16777216'],
    ['with too few samples to divide', samples('', 0, 1), {}, 'too few'],
    ['with pixels that are no bytes', [dense!, y!], { pixels: ['dense'] }, 'dense.npy is named as pixels'],
    ['without what is named as pixels', [dense!, y!], { pixels: ['image'] }, 'no array image'],
    ['with a damaged file', [{ ...dense!, bytes: dense!.bytes.subarray(1) }, y!], {}, 'dense.npy: the array'],
    [
      'with more arrays than a sample has',
      Array.from({ length: 33 }, (_, i) => ({ ...dense!, path: `${i}.npy` })),
      {},
      '33 arrays',
    ],
  ])('%s', (_, files, more, message) => {
    expect(() => arrayFolder(files, { ...options, ...more })).toThrow(
      expect.objectContaining({ code: 'DATA_INVALID', message: expect.stringContaining(message) }),
    )
  })
})

test('an index of arrays is refused when its fields do not go together', async () => {
  type Loose = { train: { fields: Record<string, unknown>[] } }
  const { blocks } = await encodeDataSet(arrayFolder(samples('', 0, 8), options))
  const changed = (change: (fields: Record<string, unknown>[]) => unknown) => {
    const index = dagCbor.decode<Loose>(blocks[0]!.bytes)
    change(index.train.fields)
    return dagCbor.encode(index)
  }
  const cases = [
    (fields: Record<string, unknown>[]) => Reflect.set(fields[2]!, 'name', 'labels'),
    (fields: Record<string, unknown>[]) => Reflect.set(fields[0]!, 'name', 'ids'),
    (fields: Record<string, unknown>[]) => Reflect.set(fields[0]!, 'isPixels', true),
    (fields: Record<string, unknown>[]) => Reflect.set(fields[0]!, 'sampleShape', [4]),
    (fields: Record<string, unknown>[]) => fields.pop(),
    (fields: Record<string, unknown>[]) => fields.reverse(),
  ]
  for (const [i, change] of cases.entries()) {
    expect(() => readDataIndex(changed(change)), `case ${i}`).toThrow(
      expect.objectContaining({ code: 'DATA_INVALID' }),
    )
  }
})

test('the label that the job ignores need not be a class, below the others or above them', async () => {
  const labelled = (labels: Int32Array) => [
    samples('', 0, 8)[0]!,
    { path: 'y.npy', bytes: npyFile('<i4', [8], labels) },
  ]
  for (const ignored of [-100, 255]) {
    const labels = Int32Array.from([0, 1, 2, ignored, 0, 1, 2, ignored])
    const there = await travelled(arrayFolder(labelled(labels), { ...options, ignored }))
    const { train, validation } = there
    expect([there.classes, there.ignored]).toEqual([3, ignored])
    expect([...train.fields.y.data, ...validation.fields.y.data].sort((a, b) => a - b)).toEqual(
      [...labels].sort((a, b) => a - b),
    )
  }
  const other = arrayFolder(labelled(Int32Array.from([0, 1, 2, 7, 0, 1, 2, 7])), { ...options, ignored: 7 })
  await expect(travelled({ ...other, ignored: 8 })).rejects.toThrow(/an id 7/)
})

test('a class that is not below what the index promises is refused', async () => {
  await expect(travelled({ ...arrayFolder(samples('', 0, 8), options), classes: 2 })).rejects.toThrow(
    /an id 2/,
  )
})
