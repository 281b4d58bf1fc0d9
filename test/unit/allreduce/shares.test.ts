/** Shares against hivemind's test vectors: a split is right when the slowest link is no longer busy than in theirs. */

import { expect, test } from 'vitest'
import { balanceShares } from '../../../protocols/allreduce/plan/shares.ts'

/** [total, bandwidths, hivemind's split], from tests/test_averaging.py::test_load_balancing. */
const vectors: [number, number[], number[]][] = [
  [60, [0.25, 0.25, 0.25, 0.25], [15, 15, 15, 15]],
  [1024, [0.3, 0.5, 0.9], [0, 255, 769]],
  [60, [0.44, 0.33, 0.22], [42, 18, 0]],
  [60, [0.55, 0.44, 0.4], [35, 16, 9]],
  [2 ** 20, [0.3, 0.5, 0.9, 0.6], [0, 169327, 602629, 276620]],
  [2 ** 20, [0, 0.5, 0, 0.6], [0, 428963, 0, 619613]],
  [1, [0.55, 0.2, 0.44], [1, 0, 0]],
]

/** Time of the busiest link: each peer sends what it does not reduce, and exchanges what it reduces with all others. */
function finishingTime(total: number, bandwidths: number[], split: number[]): number {
  const times = split.map((count, i) =>
    bandwidths[i] === 0 ? 0 : (total - count + (split.length - 1) * count) / bandwidths[i]!,
  )
  return Math.max(...times)
}

test.each(vectors)(
  '%i parts over bandwidths %j finish no later than as %j',
  (total, bandwidths, reference) => {
    const split = balanceShares(total, bandwidths)
    expect(split.reduce((sum, count) => sum + count, 0)).toBe(total)
    for (const [i, bandwidth] of bandwidths.entries()) if (bandwidth === 0) expect(split[i]).toBe(0)
    expect(finishingTime(total, bandwidths, split)).toBeLessThanOrEqual(
      finishingTime(total, bandwidths, reference),
    )
  },
)

test('peers of unknown bandwidth share alike, and beside known ones count as their mean', () => {
  expect(balanceShares(100, [undefined, undefined])).toEqual([50, 50])
  expect(balanceShares(100, [0, 0, 0, undefined, undefined])).toEqual([0, 0, 0, 50, 50])
  expect(balanceShares(90, [2, undefined, 2])).toEqual([30, 30, 30])
})

test('no peer takes more than the largest fraction, unless the others cannot take the rest', () => {
  expect(Math.max(...balanceShares(1000, [1, 1, 1, 50], { fractionMax: 0.5 }))).toBeLessThanOrEqual(501)
  expect(balanceShares(1000, [0, 0, 0, 1], { fractionMax: 0.5 })).toEqual([0, 0, 0, 1000])
})

test('one peer takes everything, and fewer parts than peers are still all given out', () => {
  expect(balanceShares(7, [3])).toEqual([7])
  expect(balanceShares(2, [1, 1, 1, 1, 1]).reduce((sum, count) => sum + count, 0)).toBe(2)
})

test('without anybody who can reduce there is no split', () => {
  expect(() => balanceShares(10, [0, 0])).toThrow('none of 2 peers can reduce')
})
