import { expect, test } from 'vitest'
import {
  compareBallots,
  isFoundingQuorum,
  isLegalBallot,
  isQuorum,
  leaderOrder,
} from '../../../protocols/allreduce/plan/electorate.ts'

/** All subsets of `items`. */
function subsets<T>(items: readonly T[]): T[][] {
  const [first, ...rest] = items
  if (first === undefined) return [[]]
  const others = subsets(rest)
  return [...others, ...others.map((subset) => [first, ...subset])]
}

test.each([1, 2, 3, 4, 5, 6])('of %i peers any two quorums share one', (count) => {
  const order = Array.from({ length: count }, (_, index) => `p${index}`)
  const quorums = subsets(order).filter((voters) => isQuorum(order, voters))
  expect(quorums.length).toBeGreaterThan(0)
  for (const a of quorums)
    for (const b of quorums)
      expect(
        a.some((peer) => b.includes(peer)),
        `${a} ∩ ${b}`,
      ).toBe(true)
})

test('half of the peers is a quorum with the first leader and none without; strangers do not count', () => {
  expect(isQuorum(['a', 'b'], ['a'])).toBe(true)
  expect(isQuorum(['a', 'b'], ['b'])).toBe(false)
  expect(isQuorum(['a', 'b', 'c'], ['a', 'x', 'y'])).toBe(false)
  expect(isQuorum([], ['a'])).toBe(false)
})

test('a founding quorum is most of the contributors, and never fewer than the run asks for', () => {
  expect(isFoundingQuorum(['a', 'b', 'c'], ['a', 'b'], 2)).toBe(true)
  expect(isFoundingQuorum(['a', 'b', 'c'], ['a', 'b'], 3)).toBe(false)
  expect(isFoundingQuorum(['a', 'b', 'c', 'd'], ['a', 'b'], 1)).toBe(false)
})

test('leaders follow a hash of root and peer: the same for everyone, another for each root', () => {
  const peers = Array.from({ length: 8 }, (_, index) => `peer-${index}`)
  expect(leaderOrder('root', [...peers].reverse())).toEqual(leaderOrder('root', peers))
  expect([...leaderOrder('root', peers)].sort()).toEqual(peers)
  const firsts = new Set(Array.from({ length: 64 }, (_, round) => leaderOrder(`root ${round}`, peers)[0]))
  expect(firsts.size).toBeGreaterThan(5)
})

test('an attempt has one leader, so two leaders never share a ballot', () => {
  const order = ['b', 'a', 'c']
  expect(isLegalBallot({ attempt: 4, leader: 'a' }, order)).toBe(true)
  expect(isLegalBallot({ attempt: 4, leader: 'b' }, order)).toBe(false)
  expect(isLegalBallot({ attempt: 4, leader: 'anyone' }, [])).toBe(true)
})

test('ballots are ordered by attempt, then by leader, and none is the lowest', () => {
  const low = { attempt: 1, leader: 'z' }
  const high = { attempt: 2, leader: 'a' }
  expect(compareBallots(low, high)).toBeLessThan(0)
  expect(compareBallots({ attempt: 1, leader: 'a' }, low)).toBeLessThan(0)
  expect(compareBallots(undefined, low)).toBeLessThan(0)
  expect(compareBallots(undefined, undefined)).toBe(0)
})
