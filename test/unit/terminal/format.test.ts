/** Numbers and curves as people read them, at the edges of their ranges. */

import { expect, test } from 'vitest'
import { chart } from '../../../node/terminal/chart.ts'
import { duration } from '../../../node/terminal/format.ts'
import { bytes, count, loss } from '../../../protocols/core/quantities.ts'

test('bytes go up in units of 1000 and never show four digits', () => {
  expect(
    [0, 999, 1000, 99_949, 99_950, 999_499, 999_500, 3.4e6, 7.25e12, 2e15].map((value) => bytes(value)),
  ).toEqual([
    '0 B',
    '999 B',
    '1.0 kB',
    '99.9 kB',
    '100 kB',
    '999 kB',
    '1.0 MB',
    '3.4 MB',
    '7.3 TB',
    '2000 TB',
  ])
})

test('durations, losses and counts keep the digits that matter', () => {
  expect([0, 59.9, 60, 3599, 3600, 90_061].map(duration)).toEqual([
    '0s',
    '59s',
    '1m 00s',
    '59m 59s',
    '1h 00m',
    '25h 01m',
  ])
  expect([2.3456, 0.23154, 0.00009, 0, Number.NaN, Number.POSITIVE_INFINITY].map(loss)).toEqual([
    '2.346',
    '0.2315',
    '9.0e-5',
    '0.0000',
    'NaN',
    'Infinity',
  ])
  expect([0.44, 9.96, 1532.4].map(count)).toEqual(['0.4', '10', '1,532'])
})

test('a falling line goes from the top left to the bottom right', () => {
  const points = [
    { x: 0, y: 1 },
    { x: 1, y: 0 },
  ]
  expect(chart(points, { width: 8, height: 2, label: String })).toEqual(['1 │⠑⠤⡀', '0 │  ⠈⠒⢄'])
})

test('the target is a dotted line that is always inside the chart', () => {
  const lines = chart([{ x: 0, y: 0 }], { width: 16, height: 2, target: 1, label: String })
  expect(lines).toEqual(['1 │⠁ ⠁ ⠁ ⠁ ⠁ ⠁ ⠁', '0 │⡀'])
})

test('points that are not finite leave the rest of the curve alone', () => {
  const points = [
    { x: 0, y: 1 },
    { x: 1, y: Number.NaN },
    { x: 2, y: 1 },
  ]
  const [, middle] = chart(points, { width: 10, height: 3, label: (value) => value.toFixed(1) })
  expect(middle).toBe('    │⠤⠤⠤⠤⠤')
})
