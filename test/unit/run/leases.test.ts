/** Leases as arithmetic: every sample once, shares by speed, and the work of the dead taken over. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { apportion } from '../../../protocols/run/apportion.ts'
import { cursorAfter, type Leases, leaseFor, overflowFor } from '../../../protocols/run/leases.ts'

const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']

function leasesOf(rates: number[], changes: Partial<Leases> = {}): Leases {
  return { cursor: 100, firstStep: 0, steps: 8, holders: names.slice(0, rates.length), rates, ...changes }
}

const steps = { batch: 4, isGradient: false, isEven: false }
const gradient = { batch: 8, isGradient: true, isEven: false }

function positionsOf(leases: Leases, unit = steps): number[][] {
  return leases.holders.map((_, index) => leaseFor(leases, index, unit).positions.flat())
}

describe('the leases of a round', () => {
  test('cover every position once, one after another, and the next round starts where they end', () => {
    const leases = leasesOf([0, 0, 0])
    expect(positionsOf(leases).flat()).toEqual(Array.from({ length: 96 }, (_, i) => 100 + i))
    expect(cursorAfter(leases, [], steps)).toBe(196)
  })

  test('with one step are together the batch of one machine, whatever the speeds', () => {
    for (const rates of [
      [0, 0, 0],
      [1, 2, 9],
      [0, 5, 1],
    ]) {
      const leases = leasesOf(rates, { steps: 1 })
      expect(positionsOf(leases, gradient).flat()).toEqual(Array.from({ length: 24 }, (_, i) => 100 + i))
    }
  })

  test('follow the speeds, and a phone has as long for its one step as a workstation for its many', () => {
    const counts = (rates: number[]) => positionsOf(leasesOf(rates)).map((positions) => positions.length / 4)
    expect(counts([10, 10, 20, 40])).toEqual([4, 4, 8, 16])
    expect(counts([10, 10, 0.01])).toEqual([12, 11, 1])
    expect(counts([10, 10, 0.01, 1000])).toEqual([1, 1, 1, 29])
  })

  test('are alike for peers whose speeds are about the same, or were never measured', () => {
    const counts = (rates: number[]) => positionsOf(leasesOf(rates)).map((positions) => positions.length / 4)
    expect(counts([10, 14, 8])).toEqual([8, 8, 8])
    expect(counts([0, 0])).toEqual([8, 8])
    expect(counts([10, 40, 0])).toEqual(counts([10, 40, 10]))
  })

  test('are alike in a job that wants the bits of one machine', () => {
    const even = { ...gradient, isEven: true }
    expect(positionsOf(leasesOf([1, 50, 3], { steps: 1 }), even).map(({ length }) => length)).toEqual([
      8, 8, 8,
    ])
  })

  test('spread over the same stretch of the schedule, however many steps a peer has', () => {
    const leases = leasesOf([10, 10, 40], { firstStep: 50 })
    expect(leaseFor(leases, 0, steps).schedule).toEqual([50, 52, 54, 56])
    expect(leaseFor(leases, 2, steps).schedule.at(-1)).toBe(57)
  })
})

describe('the work of peers that died', () => {
  test('is shared by speed among the living, beyond all leases, and the next round starts behind it', () => {
    const leases = leasesOf([10, 10, 20, 40])
    const dead = new Set([2])
    const extra = [0, 1, 3].map((index) => overflowFor(leases, index, dead, steps).positions.flat())
    expect(extra.map(({ length }) => length / 4)).toEqual([2, 1, 5])
    expect(Math.min(...extra.flat())).toBeGreaterThanOrEqual(100 + 4 * 32)
    expect(overflowFor(leases, 2, dead, steps).positions).toEqual([])
    const weights = [4, 4, 16].map((share, i) => 4 * share + extra[i]!.length)
    const contributions = ['a', 'b', 'd'].map((peer, i) => ({ peer, weight: weights[i]! }))
    expect(cursorAfter(leases, contributions, steps)).toBeGreaterThan(Math.max(...extra.flat()))
  })

  test('is left alone in jobs that average gradients', () => {
    expect(overflowFor(leasesOf([1, 1], { steps: 1 }), 0, new Set([1]), gradient).positions).toEqual([])
  })
})

test('no sample counts twice, over rounds of random speeds, deaths, opinions about deaths, and early ends', () => {
  const round = fc.record({
    speeds: fc.array(fc.oneof(fc.constant(0), fc.double({ min: 0.01, max: 1000, noNaN: true })), {
      minLength: 1,
      maxLength: 8,
    }),
    steps: fc.integer({ min: 2, max: 12 }),
    died: fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
    // whom each peer believes to be dead, right or wrong
    believed: fc.array(fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }), {
      minLength: 8,
      maxLength: 8,
    }),
    done: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 8, maxLength: 8 }),
  })
  fc.assert(
    fc.property(fc.array(round, { minLength: 1, maxLength: 6 }), (rounds) => {
      const counted = new Set<number>()
      let cursor = 0
      for (const { speeds, steps: usual, died, believed, done } of rounds) {
        const leases = leasesOf(speeds, { cursor, steps: usual })
        const contributions = leases.holders.flatMap((peer, index) => {
          if (died[index]) return []
          const own = leaseFor(leases, index, steps).positions
          const dead = new Set(
            leases.holders.flatMap((_, i) => (i !== index && believed[index]![i] ? [i] : [])),
          )
          const isWhole = done[index]! > 0.5
          const all = isWhole
            ? [...own, ...overflowFor(leases, index, dead, steps).positions]
            : own.slice(0, Math.max(1, Math.floor(own.length * done[index]!)))
          for (const position of all.flat()) {
            expect(counted.has(position), `position ${position}`).toBe(false)
            counted.add(position)
          }
          return [{ peer, weight: all.flat().length }]
        })
        cursor = cursorAfter(leases, contributions, steps)
        for (const position of counted) if (position >= cursor) expect.fail(`${position} is past ${cursor}`)
      }
    }),
    { numRuns: 300 },
  )
})

test('when everybody knows of the dead, the living reach the round’s target together', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 1, max: 2, noNaN: true }), { minLength: 5, maxLength: 8 }),
      fc.nat(7),
      (speeds, which) => {
        const leases = leasesOf(speeds)
        const dead = new Set([which % speeds.length])
        const trained = leases.holders.flatMap((_, index) =>
          dead.has(index)
            ? []
            : [
                ...leaseFor(leases, index, steps).positions.flat(),
                ...overflowFor(leases, index, dead, steps).positions.flat(),
              ],
        )
        expect(trained).toHaveLength(speeds.length * 8 * 4)
      },
    ),
  )
})

test('shares add up, keep their bounds, and are as near to the speeds as whole numbers are', () => {
  expect(apportion(10, [1, 1, 1], { min: 0, max: 10 })).toEqual([4, 3, 3])
  expect(apportion(10, [1, 1, 8], { min: 2, max: 5 })).toEqual([3, 2, 5])
  expect(apportion(10, [1, 1], { min: 0, max: 3 })).toEqual([3, 3])
  fc.assert(
    fc.property(
      fc.integer({ min: 8, max: 200 }),
      fc.array(fc.double({ min: 0.001, max: 1000, noNaN: true }), { minLength: 1, maxLength: 8 }),
      (total, speeds) => {
        const shares = apportion(total, speeds, { min: 1, max: total })
        expect(shares.reduce((sum, share) => sum + share, 0)).toBe(total)
        expect(Math.min(...shares)).toBeGreaterThanOrEqual(1)
      },
    ),
  )
})
