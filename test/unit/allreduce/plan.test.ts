import { expect, test } from 'vitest'
import {
  type Plan,
  partCountOf,
  planFault,
  planIdentity,
  reducerOf,
  sendingOrder,
  shareOut,
} from '../../../protocols/allreduce/plan.ts'
import { sealFault } from '../../../protocols/allreduce/seal.ts'

const commit = 'ab'.repeat(32)

function planOf(peers: string[], partCount: number): Plan {
  const committers = peers.map((peer) => ({ peer, weight: 1, commit, bandwidth: undefined }))
  return {
    round: 3,
    root: 'root',
    electorate: peers,
    contributors: committers.map(({ peer, weight }) => ({ peer, weight, commit })),
    receivers: [{ peer: 'x', incarnation: 7 }],
    followers: ['y'],
    shares: shareOut(partCount, committers),
  }
}

test('every part has one reducer, and no reducer more than twice its fair share', () => {
  const plan = planOf(['a', 'b', 'c', 'd'], 22)
  expect(planFault(plan, 22)).toBeUndefined()
  const counts = new Map<string, number>()
  for (let part = 0; part < 22; part++) {
    const reducer = reducerOf(plan, part)!
    counts.set(reducer, (counts.get(reducer) ?? 0) + 1)
  }
  expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBe(22)
  expect(Math.max(...counts.values())).toBeLessThanOrEqual(11)
  expect(reducerOf(plan, 22)).toBeUndefined()
})

test('a contributor sends every part once, and starts with its own share, then one of each in turn', () => {
  const plan = planOf(['a', 'b', 'c'], 9)
  for (const index of [0, 1, 2]) {
    const order = sendingOrder(plan, index)
    expect(order.map(({ part }) => part).sort((x, y) => x - y)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
    expect(order.slice(0, 3).map(({ reducer }) => reducer)[0]).toBe(plan.shares[index]!.reducer)
    expect(new Set(order.slice(0, 3).map(({ reducer }) => reducer)).size).toBe(3)
    for (const { part, reducer } of order) expect(reducerOf(plan, part)).toBe(reducer)
  }
})

test('a peer that cannot reduce gets no share, and when nobody can all share alike', () => {
  const committer = (peer: string, bandwidth: number) => ({ peer, weight: 1, commit, bandwidth })
  const shares = shareOut(8, [committer('a', 1), committer('b', 0), committer('c', 1)])
  expect(shares.map(({ reducer }) => reducer)).toEqual(['a', 'c'])
  expect(shareOut(4, [committer('a', 0), committer('b', 0)]).map(({ partCount }) => partCount)).toEqual([
    2, 2,
  ])
})

const good = planOf(['a', 'b'], 4)

test.each<[string, Plan]>([
  ['no contributors', { ...good, contributors: [] }],
  ['a contributor without weight', { ...good, contributors: [{ peer: 'a', weight: 0, commit }] }],
  ['a list is not sorted', { ...good, contributors: [...good.contributors].reverse() }],
  ['a list is not sorted or names a peer twice', { ...good, electorate: ['a', 'a'] }],
  ['a peer in two lists', { ...good, followers: ['a'] }],
  ['shares that do not follow', { ...good, shares: [good.shares[0]!, { ...good.shares[1]!, firstPart: 1 }] }],
  ['shares that do not follow', { ...good, shares: [{ reducer: 'stranger', firstPart: 0, partCount: 4 }] }],
  ['shares of 2 parts for 4', { ...good, shares: [good.shares[0]!] }],
])('a plan with %s is refused', (fault, plan) => {
  expect(planFault(plan, 4)).toContain(fault)
})

test('the identity of a plan covers every field', () => {
  const identity = planIdentity(good).join()
  const changed: Partial<Plan>[] = [
    { round: 4 },
    { root: 'other' },
    { electorate: ['a'] },
    { contributors: good.contributors.map((contributor) => ({ ...contributor, weight: 2 })) },
    { receivers: [{ peer: 'x', incarnation: 8 }] },
    { followers: [] },
    { shares: [{ reducer: 'a', firstPart: 0, partCount: 4 }] },
  ]
  for (const change of changed) expect(planIdentity({ ...good, ...change }).join()).not.toBe(identity)
  expect(partCountOf(good)).toBe(4)
})

test('a seal names every part, and only peers of its plan as members', () => {
  const digests = Array.from({ length: 4 }, () => commit)
  expect(sealFault(good, { digests, members: ['a', 'x'] })).toBeUndefined()
  expect(sealFault(good, { digests: digests.slice(1), members: ['a'] })).toContain('every part')
  for (const members of [[], ['y'], ['x', 'a'], ['a', 'a']])
    expect(sealFault(good, { digests, members })).toContain('wrong members')
})
