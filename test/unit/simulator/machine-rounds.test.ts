/** The real machines on home links: the links worked out by hand, and rounds that end although peers die. */

import { expect, test } from 'vitest'
import { VirtualClock } from '../../../simulator/clock.ts'
import { AccessLinks } from '../../../simulator/home-links/access-links.ts'
import { machineRounds } from '../../../simulator/home-links/machine-rounds.ts'
import type { Home } from '../../../simulator/home-links/world.ts'

const home: Home = { up: 100, down: 500, place: [0, 0], lastMileMs: 10 }

/** When each of `sends` (milliseconds, from, to, bytes) arrives; in the order of arrival. */
function arrivals(sends: readonly (readonly [number, string, string, number])[]): [number, string][] {
  const clock = new VirtualClock()
  const links = new AccessLinks(new Map(['a', 'b', 'c'].map((name) => [name, home])), clock)
  const seen: [number, string][] = []
  for (const [atMs, from, to, bytes] of sends)
    clock.setTimer(atMs, () =>
      links.carry(from, to, bytes, () => seen.push([clock.now(), `${from}${to} ${bytes}`])),
    )
  while (clock.runNext(1e9));
  return seen
}

test('an uplink carries one message after the other, each as fast as it can, and 20 ms away', () => {
  expect(
    arrivals([
      [0, 'a', 'b', 10_000],
      [0, 'a', 'c', 20_000],
    ]),
  ).toEqual([
    [120, 'ab 10000'],
    [320, 'ac 20000'],
  ])
})

test('small messages go at once, but not past a part for the same peer', () => {
  expect(
    arrivals([
      [0, 'a', 'b', 10_000],
      [1, 'a', 'b', 100],
      [1, 'a', 'c', 100],
      [110, 'a', 'b', 200],
    ]),
  ).toEqual([
    [22, 'ac 100'],
    [120, 'ab 10000'],
    [120, 'ab 100'],
    [132, 'ab 200'],
  ])
})

test('two messages for one peer share its downlink', () => {
  const times = arrivals([
    [0, 'a', 'c', 50_000],
    [0, 'b', 'c', 50_000],
  ]).map(([atMs]) => atMs)
  expect(times).toEqual([520, 620])
})

test('rounds of a grid end for all that live while others die, the same twice from one seed', () => {
  // A finisher dies before the leader's row has its means, and newcomers go on saying where they stand.
  const setting = { peers: 36, churn: 0.95, seed: 15 }
  const result = machineRounds(setting, 1)
  expect(result.deaths).toBeGreaterThan(0)
  expect(result.committedWeight).toBeGreaterThan(0.7)
  expect(result.roundMs.p95).toBeLessThan(120_000)
  expect(result.committedWeight).toBeLessThanOrEqual(1)
  // Two vectors and the sums of six rows: 4 bytes for each of int8's one.
  expect(result.vectorsSent).toBeGreaterThan(2)
  expect(result.vectorsSent).toBeLessThan(3.5)
  expect(result.links.max).toBeLessThan(35)
  expect(machineRounds(setting, 1)).toEqual(result)
})

test('who missed how a round ended is told by its former mates, though the next one has other seats', () => {
  const result = machineRounds({ peers: 36, churn: 0.95, seed: 35 }, 1)
  expect(result.deaths).toBe(5) // ten before the last has ended, when nobody keeps a link with it
  expect(result.roundMs.p95).toBeLessThan(30_000)
})
