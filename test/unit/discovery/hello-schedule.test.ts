/** When a peer says HELLO, on times that the test names. */

import { expect, test } from 'vitest'
import { seededRandom } from '../../../protocols/core/random.ts'
import { HelloSchedule } from '../../../protocols/discovery/hello-schedule.ts'

/** The moments at which a peer says HELLO within `untilMs`, one of which is wanted at once at each of `wantedAt`. */
function saidWithin(untilMs: number, peers: number, wantedAt: readonly number[]): number[] {
  const schedule = new HelloSchedule(seededRandom(1))
  const said: number[] = []
  for (let now = 0; now < untilMs; now += 50) {
    if (wantedAt.includes(now)) schedule.hasten(0, { now, peers })
    if (!schedule.isDue(now)) continue
    schedule.said(now)
    said.push(now)
  }
  return said
}

test('the first HELLO goes out at once, what comes too soon after it waits a second, and without news one follows every twelve', () => {
  const [first, second, third, fourth, ...rest] = saidWithin(40_000, 3, [0, 200, 400])
  expect([first, second]).toEqual([0, 1_000])
  for (const gap of [third! - second!, fourth! - third!]) {
    expect(gap).toBeGreaterThanOrEqual(10_800)
    expect(gap).toBeLessThanOrEqual(13_250)
  }
  expect(rest).toHaveLength(1)
})

test('a swarm that changes all the time says four HELLOs a second together, or each peer one in its turn', () => {
  const always = Array.from({ length: 1_200 }, (_, index) => 50 * index)
  expect(saidWithin(60_000, 3, always)).toHaveLength(60)
  expect(saidWithin(60_000, 36, always)).toEqual([0, 9_000, 18_000, 27_000, 36_000, 45_000, 54_000])
  const large = saidWithin(60_000, 10_000, always)
  for (const [index, now] of large.slice(1).entries()) {
    expect(now - large[index]!).toBeGreaterThanOrEqual(10_800)
    expect(now - large[index]!).toBeLessThanOrEqual(12_000)
  }
})
