/** The model of home links: a round worked out by hand, how long peers stay, and what a round of many costs. */

import { expect, test } from 'vitest'
import { seededRandom } from '../../../protocols/core/random.ts'
import { peerNames, planRound } from '../../../simulator/averaging/planned-round.ts'
import { roundTimesMs } from '../../../simulator/home-links/round-time.ts'
import { homeRounds } from '../../../simulator/home-links/rounds.ts'
import { drawHome, drawStayMs, type Home } from '../../../simulator/home-links/world.ts'

const home: Home = { up: 1, down: 5, place: [0, 0], lastMileMs: 10 }

function timesOf(homes: readonly Home[], partCount: number): number[] {
  const electorate = peerNames(homes.length)
  const plan = planRound({ round: 0, root: '', electorate, isHere: () => true, partCount })
  return [...roundTimesMs(plan, homes, { coded: 100, sum: 400 })]
}

test('two peers swap halves: two transfers and two delays each', () => {
  expect(timesOf([home, home], 2)).toEqual([240, 240])
})

test('everyone waits for the slow uplink, which has one update and one mean to send', () => {
  const slow = { ...home, up: 0.1 }
  // Its update is there after 1,000 + 20 ms, the other's mean another 100 + 20 later; its own mean leaves at 1,000.
  expect(timesOf([home, slow], 2)).toEqual([2_020, 1_140])
})

test('a receiver that is far away waits longer', () => {
  const far: Home = { ...home, place: [50, 0] }
  expect(timesOf([home, far], 2)).toEqual([340, 340])
})

test('as many peers leave within an hour as the churn says', () => {
  const random = seededRandom(7)
  const stays = Array.from({ length: 20_000 }, () => drawStayMs(0.2, random))
  expect(stays.filter((ms) => ms < 3_600_000).length / stays.length).toBeCloseTo(0.2, 2)
  expect(drawStayMs(0, random)).toBe(Number.POSITIVE_INFINITY)
})

test('half of the uplinks are below 20 Mbit/s, and none is outside of 2 to 200', () => {
  const random = seededRandom(7)
  const rates = Array.from({ length: 4_000 }, () => drawHome(random).up / 125)
  expect(rates.filter((rate) => rate < 20).length / rates.length).toBeCloseTo(0.5, 1)
  expect(Math.min(...rates)).toBe(2)
  expect(Math.max(...rates)).toBeLessThanOrEqual(200)
})

test('a thousand peers end a round soon after the slowest has sent its update, and 99 % of the weight is in it', () => {
  const { roundMs, leastMs, committedWeight, links, bytesSent } = homeRounds({
    peers: 1000,
    churn: 0.2,
    seed: 7,
    draws: 1,
  })
  expect(roundMs.p95).toBeGreaterThan(leastMs)
  expect(roundMs.p95).toBeLessThan(1.2 * leastMs)
  expect(committedWeight).toBeGreaterThan(0.99)
  expect(committedWeight).toBeLessThan(1)
  expect(links.max).toBeLessThanOrEqual(31 + 31 + 30)
  // 10 MB as int8, about twice, and the sums of the rows as f32
  expect(bytesSent / 10e6).toBeGreaterThan(2)
  expect(bytesSent / 10e6).toBeLessThan(2.2)
})
