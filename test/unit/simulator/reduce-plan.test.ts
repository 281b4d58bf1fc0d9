/** A planned round worked out by hand: what the mean is, whose weight is behind it, and who sent how much. */

import { expect, test } from 'vitest'
import { planFault } from '../../../protocols/allreduce/plan/plan.ts'
import { peerNames, planRound } from '../../../simulator/averaging/planned-round.ts'
import { reducePlan } from '../../../simulator/averaging/reduce-plan.ts'

const alive = Number.POSITIVE_INFINITY

/** A round of `peers` with a value for each seat, the same in all parts, and the moments at which some of them die. */
function round(peers: number, partCount: number, deaths: Readonly<Record<number, number>> = {}) {
  const moments = Float64Array.from({ length: peers }, (_, seat) => deaths[seat] ?? alive)
  const plan = planRound({
    round: 0,
    root: 'root',
    electorate: peerNames(peers),
    isHere: (seat) => moments[seat]! > 0,
    partCount,
  })
  expect(planFault(plan, partCount)).toBeUndefined()
  const values = Float64Array.from({ length: peers * partCount }, (_, index) => Math.floor(index / partCount))
  return { plan, ...reducePlan(plan, values, moments) }
}

test('four peers that all live get the exact mean, and each sends 2 (M - 1) / M vectors', () => {
  const { mean, weight, partsSent } = round(4, 4)
  expect([...mean]).toEqual([1.5, 1.5, 1.5, 1.5])
  expect([...weight]).toEqual([4, 4, 4, 4])
  expect([...partsSent]).toEqual([6, 6, 6, 6])
})

test('a peer that was gone before the plan is in no part of the mean, and sends nothing', () => {
  const { mean, weight, partsSent } = round(4, 3, { 3: 0 })
  expect([...mean]).toEqual([1, 1, 1])
  expect([...weight]).toEqual([3, 3, 3])
  expect([...partsSent]).toEqual([4, 4, 4, 0])
})

test('a row without its reducer is missing from that share alone, and the weight of the mean says so', () => {
  // 6 rows of 6; seat 8 is row 1, column 2. It dies when it has sent the first two parts of its order, 2 and 3.
  const { mean, weight } = round(36, 6, { 8: 0.4 })
  expect([...weight]).toEqual([35, 35, 30, 36, 35, 35])
  const all = (35 * 36) / 2
  const rowOne = 6 + 7 + 8 + 9 + 10 + 11
  expect(mean[3]).toBe(all / 36)
  expect(mean[2]).toBe((all - rowOne) / 30)
  expect(mean[0]).toBe((all - 8) / 35)
})

test('a reducer of the only row is replaced, and those that live send its part again', () => {
  // Seat 1 reduces part 1 and dies when it has sent parts 1 and 2.
  const { mean, weight } = round(4, 4, { 1: 0.5 })
  expect([...weight]).toEqual([3, 3, 4, 3])
  expect(mean[1]).toBe((0 + 2 + 3) / 3)
  expect(mean[2]).toBe(1.5)
})

test('rows and columns of 1,024 peers send 2 (M - 1) / M + 2 (R - 1) / (R M) vectors each', () => {
  const { weight, partsSent } = round(1024, 64)
  expect(new Set(weight)).toEqual(new Set([1024]))
  const total = partsSent.reduce((sum, parts) => sum + parts, 0)
  expect(total / 64 / 1024).toBeCloseTo((2 * 31) / 32 + (2 * 31) / (32 * 32), 10)
})
