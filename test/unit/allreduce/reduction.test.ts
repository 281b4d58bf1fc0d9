import { expect, test } from 'vitest'
import {
  encodeParts,
  partCount,
  partitionOf,
  partLength,
  partOf,
  partsOfUpdate,
} from '../../../protocols/allreduce/plan/parts.ts'
import {
  decodePart,
  decodeSum,
  encodeSum,
  finishPart,
  isMean,
  isPart,
  type ReductionInput,
  sumRow,
} from '../../../protocols/allreduce/round/reduction.ts'
import { updateMagnitudeMax } from '../../../protocols/core/limits.ts'
import { codecFor, codecNames } from '../../../protocols/wire/codecs/index.ts'

const f32 = codecFor('f32')
const int8 = codecFor('int8')

const part = (...values: number[]) => f32.encode(Float32Array.from(values))

function rowSum(inputs: readonly ReductionInput[], length: number, codec = f32): Float32Array {
  const reduction = sumRow(codec, length, inputs)
  if (reduction.kind === 'invalid') throw new Error(`invalid: ${reduction.inputs}`)
  return reduction.sum
}

/** The mean over rows of `inputs`. */
function meanOf(rows: readonly (readonly ReductionInput[])[], length: number): number[] {
  const weight = rows.flat().reduce((sum, input) => sum + input.weight, 0)
  const values = new Float32Array(length)
  f32.decode(
    finishPart(
      f32,
      rows.map((inputs) => rowSum(inputs, length)),
      weight,
    ),
    values,
  )
  return [...values]
}

test('the mean is weighted by samples', () => {
  const inputs = [
    { bytes: part(1, -2, 0), weight: 1 },
    { bytes: part(4, 2, 8), weight: 3 },
  ]
  expect(meanOf([inputs], 3)).toEqual([3.25, 1, 6])
})

test('the sum is rounded to f32 in the order given, so another order is another result', () => {
  const tiny = 2 ** -25
  const inputsOf = (values: number[]) => values.map((value) => ({ bytes: part(value), weight: 1 }))
  expect(meanOf([inputsOf([1, tiny, tiny, -1])], 1)).toEqual([0]) // the small ones are lost against the 1
  expect(meanOf([inputsOf([1, -1, tiny, tiny])], 1)).toEqual([tiny / 2])
})

test('rows are summed in their order, each by itself: the grid is part of what the mean is', () => {
  const inputs = [1, 2 ** -24, 2 ** -24].map((value) => ({ bytes: part(value), weight: 1 }))
  const [first, ...others] = inputs
  expect(meanOf([inputs], 1)).toEqual([Math.fround(1 / 3)])
  expect(meanOf([[first!], others], 1)).toEqual([Math.fround((1 + 2 ** -23) / 3)])
})

test('a sum travels as f32, and one that updates of its weight cannot add up to is refused', () => {
  const sum = Float32Array.of(1.5, -3e37)
  expect(decodeSum(encodeSum(sum), 2, 3e12)).toEqual(sum)
  expect(decodeSum(encodeSum(sum), 2, 2.9e12)).toBeUndefined()
  expect(decodeSum(encodeSum(sum), 3, 3e12)).toBeUndefined()
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 2e38])
    expect(decodeSum(encodeSum(Float32Array.of(0, value)), 2, 1e13)).toBeUndefined()
})

test('updates at their limit have a mean that every peer takes, whatever the codec rounds up', () => {
  for (const codec of [f32, int8, codecFor('int4')]) {
    const sums = [1e9, 3e9, 7e9].map((weight) =>
      new Float32Array(64).fill(Math.fround(weight * 1e25 * 1.001)),
    )
    const bytes = finishPart(codec, sums, 11e9)
    expect(isMean(codec, bytes, 64), codec.name).toBe(true)
    expect(isMean(codec, finishPart(codec, sums, 10e9), 64), codec.name).toBe(false)
  }
})

test('inputs that are no part are named, and nothing is reduced', () => {
  const inputs = [part(1, 2), part(1e26, 0), part(1), new Uint8Array(8).fill(255)]
  const reduction = sumRow(
    f32,
    2,
    inputs.map((bytes) => ({ bytes, weight: 1 })),
  )
  expect(reduction).toEqual({ kind: 'invalid', inputs: [1, 2, 3] })
})

test('the largest run of the largest updates with the largest weights does not overflow', () => {
  const row = Array.from({ length: 100 }, () => ({ bytes: part(1e25, -1e25), weight: 1e9 }))
  const [high, low] = meanOf(Array(100).fill(row), 2)
  expect(high! / 1e25).toBeCloseTo(1, 5)
  expect(low! / 1e25).toBeCloseTo(-1, 5)
})

test('int8 inputs are averaged as the values they decode to', () => {
  const values = Float32Array.from({ length: 300 }, (_, i) => Math.sin(i))
  const bytes = int8.encode(values)
  const sum = rowSum(
    [
      { bytes, weight: 2 },
      { bytes, weight: 5 },
    ],
    300,
    int8,
  )
  const mean = new Float32Array(300)
  expect(decodePart(int8, finishPart(int8, [sum], 7), mean)).toBe(true)
  const errors = mean.map((value, i) => Math.abs(value - values[i]!))
  expect(Math.max(...errors)).toBeLessThan(1 / 127 + 1e-6)
})

test.each(codecNames)(
  'a part in %s is looked at as it is decoded, also where only its values tell',
  (name) => {
    const codec = codecFor(name)
    const decoded = new Float32Array(300)
    const verdicts = [1, updateMagnitudeMax / 2, updateMagnitudeMax, 1.002 * updateMagnitudeMax, 1e30].map(
      (largest) => {
        const bytes = codec.encode(new Float32Array(300).fill(largest / 3).fill(-largest, 7, 8))
        expect(isPart(codec, bytes, 300), `${largest}`).toBe(decodePart(codec, bytes, decoded))
        return isPart(codec, bytes, 300)
      },
    )
    expect([verdicts[0], verdicts[1], verdicts[4]]).toEqual([true, true, false])
    expect(isPart(codec, codec.encode(decoded.subarray(1)), 300)).toBe(false)
    expect(isPart(codec, Uint8Array.of(99), 300)).toBe(false)
  },
)

test('a vector is cut in parts of one length, the last shorter', () => {
  const partition = { elements: 10, partElements: 4 }
  expect(partCount(partition)).toBe(3)
  expect([0, 1, 2].map((index) => partLength(partition, index))).toEqual([4, 4, 2])
  const vector = Float32Array.from({ length: 10 }, (_, i) => i)
  expect([...partOf(vector, partition, 2)]).toEqual([8, 9])
  const parts = encodeParts(vector, partition, f32)
  expect(parts.map((bytes) => bytes.length)).toEqual([17, 17, 9])
})

test.each(['f32', 'int8'] as const)(
  'parts of an update in %s are the same bytes when asked for twice',
  (codec) => {
    const partition = { elements: 10, partElements: 4 }
    const update = Float32Array.from({ length: 10 }, (_, i) => Math.sin(i))
    const parts = partsOfUpdate(update, partition, codecFor(codec))
    for (let turn = 0; turn < 2; turn++)
      expect([0, 1, 2, 3].map((part) => parts.at(part))).toEqual([
        ...encodeParts(update, partition, codecFor(codec)),
        undefined,
      ])
    expect(() => partsOfUpdate(Float32Array.of(1e26), partition, codecFor(codec))).toThrow(
      'element 0 of the update',
    )
  },
)

test('parts of an f32 update can all be made in the same memory, in which a shorter one ends where it ends', () => {
  const partition = { elements: 10, partElements: 4 }
  const update = Float32Array.from({ length: 10 }, (_, i) => Math.sin(i))
  const parts = partsOfUpdate(update, partition, f32)
  const scratch = new Uint8Array(f32.encodedBytes(4))
  for (const [part, bytes] of encodeParts(update, partition, f32).entries()) {
    const made = parts.at(part, scratch)
    expect(made).toEqual(bytes)
    expect(made!.buffer).toBe(scratch.buffer)
  }
  expect(parts.at(0, new Uint8Array(16))).toEqual(parts.at(0)) // too short: in memory of its own
})

test('an update with a value that is not finite is refused before anything is sent', () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 1e26]) {
    const update = Float32Array.of(0, value)
    expect(() => encodeParts(update, { elements: 2, partElements: 4 }, f32)).toThrow(
      'element 1 of the update is',
    )
  }
})

test.each<[number, number, number]>([
  [500, 2, 256], // too small for more
  [20_000, 40, 512],
  [1_000_000, 64, 15_872],
  [100_000_000, 1_526, 65_536],
])('a vector of %i elements is %i parts of %i', (elements, count, size) => {
  const partition = partitionOf(elements)
  expect(partition.partElements).toBe(size)
  expect(partCount(partition)).toBe(count)
})
