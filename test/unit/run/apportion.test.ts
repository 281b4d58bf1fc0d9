import { expect, test } from 'vitest'
import { apportion } from '../../../protocols/run/apportion.ts'

test('shares are whole, in proportion, and what rounding leaves goes to the largest remainders', () => {
  expect(apportion(10, [1, 1, 1], { min: 0, max: 10 })).toEqual([4, 3, 3])
  expect(apportion(10, [5, 3, 1], { min: 0, max: 10 })).toEqual([6, 3, 1])
})

test('what one may not have is split over the others by their speeds', () => {
  expect(apportion(200, [1000, 9, 1], { min: 1, max: 100 })).toEqual([100, 90, 10])
})

test('what one must have at least is taken from the others by their speeds', () => {
  expect(apportion(40, [30, 10, 0.001], { min: 4, max: 40 })).toEqual([27, 9, 4])
})

test('bounds that do not meet the total hold all the same', () => {
  expect(apportion(100, [3, 1], { min: 0, max: 10 })).toEqual([10, 10])
  expect(apportion(3, [3, 1], { min: 2, max: 10 })).toEqual([2, 2])
})

test('one that claims to be ten million times as fast takes its most, and the rest is split at once', () => {
  const shares = apportion(500_000, [1e7, ...new Array<number>(999).fill(1)], { min: 1, max: 2_000 })
  expect(shares[0]).toBe(2_000)
  expect(shares.slice(1, 499).every((share) => share === 499)).toBe(true)
  expect(shares.slice(499).every((share) => share === 498)).toBe(true)
})
