import { expect, test } from 'vitest'
import { SwarmError } from '../../../protocols/core/errors.ts'
import { bitsOf, isWithin, largestOf } from '../../../protocols/wire/codecs/magnitude.ts'

const largest = 3.4028234663852886e38 // of all f32

test('the largest magnitude is found among negative, subnormal and greatest values, and only where it is looked for', () => {
  const values = Float32Array.of(9, -3, 2 ** -149, -0, 2.5, largest, -7)
  expect(largestOf(bitsOf(values))).toBe(largest)
  expect(largestOf(bitsOf(values), 1, 5)).toBe(3)
  expect(largestOf(bitsOf(values), 2, 4)).toBe(2 ** -149)
  expect(largestOf(bitsOf(values), 3, 3)).toBe(0)
  expect(largestOf(bitsOf(values.subarray(6)))).toBe(7)
})

test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
  '%d is refused with its place, and within no limit',
  (value) => {
    const values = Float32Array.of(1, 2, value, 3)
    const refused = new SwarmError('PART_INVALID', `element 2 is ${value}`)
    expect(() => largestOf(bitsOf(values))).toThrow(refused)
    expect(largestOf(bitsOf(values), 0, 2)).toBe(2)
    expect(isWithin(values, largest)).toBe(false)
  },
)

test('a value as large as the limit is within it, and the next one is not', () => {
  expect(isWithin(Float32Array.of(1, -2), 2)).toBe(true)
  expect(isWithin(Float32Array.of(1, -2 - 2 ** -22), 2)).toBe(false)
})
