import { expect, test } from 'vitest'
import {
  encodeParts,
  partCount,
  partitionOf,
  partLength,
  partOf,
} from '../../../protocols/allreduce/parts.ts'
import { decodePart, reducePart } from '../../../protocols/allreduce/reduction.ts'
import { codecFor } from '../../../protocols/wire/codecs/index.ts'

const f32 = codecFor('f32')
const int8 = codecFor('int8')

const part = (...values: number[]) => f32.encode(Float32Array.from(values))

function meanOf(inputs: { bytes: Uint8Array; weight: number }[], length: number): number[] {
  const reduction = reducePart(f32, length, inputs)
  if (reduction.kind === 'invalid') throw new Error(`invalid: ${reduction.inputs}`)
  const values = new Float32Array(length)
  f32.decode(reduction.bytes, values)
  return [...values]
}

test('the mean is weighted by samples', () => {
  const inputs = [
    { bytes: part(1, -2, 0), weight: 1 },
    { bytes: part(4, 2, 8), weight: 3 },
  ]
  expect(meanOf(inputs, 3)).toEqual([3.25, 1, 6])
})

test('the sum is rounded to f32 in the order given, so another order is another result', () => {
  const tiny = 2 ** -25
  const inputsOf = (values: number[]) => values.map((value) => ({ bytes: part(value), weight: 1 }))
  expect(meanOf(inputsOf([1, tiny, tiny, -1]), 1)).toEqual([0]) // the small ones are lost against the 1
  expect(meanOf(inputsOf([1, -1, tiny, tiny]), 1)).toEqual([tiny / 2])
})

test('inputs that are no part are named, and nothing is reduced', () => {
  const inputs = [part(1, 2), part(1e26, 0), part(1), new Uint8Array(8).fill(255)]
  const reduction = reducePart(
    f32,
    2,
    inputs.map((bytes) => ({ bytes, weight: 1 })),
  )
  expect(reduction).toEqual({ kind: 'invalid', inputs: [1, 2, 3] })
})

test('a full row of the largest updates with the largest weights does not overflow', () => {
  const inputs = Array.from({ length: 32 }, () => ({ bytes: part(1e25, -1e25), weight: 1e9 }))
  const [high, low] = meanOf(inputs, 2)
  expect(high! / 1e25).toBeCloseTo(1, 5)
  expect(low! / 1e25).toBeCloseTo(-1, 5)
})

test('int8 inputs are averaged as the values they decode to', () => {
  const values = Float32Array.from({ length: 300 }, (_, i) => Math.sin(i))
  const bytes = int8.encode(values)
  const reduction = reducePart(int8, 300, [
    { bytes, weight: 2 },
    { bytes, weight: 5 },
  ])
  if (reduction.kind === 'invalid') throw new Error('invalid')
  const mean = new Float32Array(300)
  expect(decodePart(int8, reduction.bytes, mean)).toBe(true)
  const errors = mean.map((value, i) => Math.abs(value - values[i]!))
  expect(Math.max(...errors)).toBeLessThan(1 / 127 + 1e-6)
})

test('a vector is cut in parts of one length, the last shorter', () => {
  const partition = { elements: 10, partElements: 4 }
  expect(partCount(partition)).toBe(3)
  expect([0, 1, 2].map((index) => partLength(partition, index))).toEqual([4, 4, 2])
  const vector = Float32Array.from({ length: 10 }, (_, i) => i)
  expect([...partOf(vector, partition, 2)]).toEqual([8, 9])
  const parts = encodeParts(vector, partition, f32)
  expect(parts.map((bytes) => bytes.length)).toEqual([17, 17, 9])
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
