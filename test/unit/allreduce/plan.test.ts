import { expect, test } from 'vitest'
import { Grid, seatAt } from '../../../protocols/allreduce/plan/grid.ts'
import {
  type Contributor,
  type Plan,
  partCountOf,
  planFault,
  sendingOrder,
} from '../../../protocols/allreduce/plan/plan.ts'
import { planIdentity } from '../../../protocols/allreduce/plan/plan-codec.ts'
import { finisherOf, finishersOf, reducersOf } from '../../../protocols/allreduce/plan/plan-directory.ts'
import { sealFault } from '../../../protocols/allreduce/plan/seal.ts'
import { shareOut } from '../../../protocols/allreduce/plan/share-out.ts'

const commit = 'ab'.repeat(32)

/** A contributor of unit weight; `bandwidth` undefined: not measured. */
function contributor(peer: string, seat: number, bandwidth?: number): Contributor {
  return { peer, seat, weight: 1, commit, bandwidth, place: undefined }
}

/** Everybody of an electorate of `peers` contributes. */
function planOf(peers: readonly string[], partCount: number, bandwidths: readonly number[] = []): Plan {
  const contributors = peers.map((peer, seat) => contributor(peer, seat, bandwidths[seat]))
  const receivers = [
    { peer: 'x', seat: peers.length, incarnation: 7, bandwidth: undefined, place: undefined },
  ]
  return {
    round: 3,
    root: 'root',
    seats: peers.length,
    council: peers.slice(0, 31),
    contributors,
    receivers,
    followers: [{ peer: 'y', seat: peers.length + 1 }],
    shares: shareOut(partCount, peers.length, { contributors, receivers }),
  }
}

test('every part has one reducer, and no reducer more than twice its fair share', () => {
  const plan = planOf(['a', 'b', 'c', 'd'], 22)
  expect(planFault(plan, 22)).toBeUndefined()
  const counts = new Map<string, number>()
  for (let part = 0; part < 22; part++) {
    const reducer = finisherOf(plan, part)!
    expect(reducersOf(plan, part)).toEqual([reducer])
    counts.set(reducer, (counts.get(reducer) ?? 0) + 1)
  }
  expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBe(22)
  expect(Math.max(...counts.values())).toBeLessThanOrEqual(11)
  expect(finisherOf(plan, 22)).toBeUndefined()
})

test('a contributor sends every part once, and starts with its own share, then one of each in turn', () => {
  const plan = planOf(['a', 'b', 'c'], 9)
  for (const index of [0, 1, 2]) {
    const order = sendingOrder(plan, index)
    expect([...order].sort((x, y) => x - y)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
    expect(finisherOf(plan, order[0]!)).toBe(['a', 'b', 'c'][index])
    expect(new Set(order.slice(0, 3).map((part) => finisherOf(plan, part))).size).toBe(3)
  }
})

test('a peer that cannot reduce gets no share, and when nobody can all share alike', () => {
  const shares = (bandwidths: number[]) =>
    planOf(['a', 'b', 'c'].slice(0, bandwidths.length), 8, bandwidths).shares
  expect(shares([1, 0, 1]).map(({ reducers }) => reducers)).toEqual([['a'], ['c']])
  expect(shares([0, 0]).map(({ partCount }) => partCount)).toEqual([4, 4])
})

test('links that measuring alone tells apart carry the same, and one that is slower for sure carries less', () => {
  const counts = (bandwidths: number[]) =>
    planOf(['a', 'b', 'c', 'd'], 40, bandwidths).shares.map(({ partCount }) => partCount)
  expect(counts([100, 92, 107, 98])).toEqual([10, 10, 10, 10])
  expect(counts([100, 92, 107, 75])).toEqual([12, 12, 12, 4])
})

test('in a grid each column sums its parts in every row, and the rows take turns to finish them', () => {
  const peers = Array.from({ length: 37 }, (_, i) => `p${String(i).padStart(2, '0')}`)
  const plan = planOf(peers, 12)
  const grid = new Grid('root', peers)
  expect(planFault(plan, 12)).toBeUndefined()
  for (let part = 0; part < 12; part++) {
    const columns = reducersOf(plan, part).map((peer) => grid.columnOf(peer))
    expect(columns).toEqual(Array(6).fill(columns[0]))
    expect(reducersOf(plan, part).map((peer) => grid.rowOf(peer))).toEqual([0, 1, 2, 3, 4, 5])
  }
  const finished = Array.from({ length: 12 }, (_, part) => finisherOf(plan, part)!)
  expect(new Set(finished).size).toBe(12)
})

test('for a peer of a column that is gone or cannot be dialled, another of its row stands in', () => {
  const peers = Array.from({ length: 37 }, (_, i) => `p${String(i).padStart(2, '0')}`)
  const whole = planOf(peers, 12)
  const gone = seatAt(2, 3, 37)
  const unreachable = seatAt(0, 1, 37)
  const contributors = whole.contributors
    .filter(({ seat }) => seat !== gone)
    .map((entry) => (entry.seat === unreachable ? { ...entry, bandwidth: 0 } : entry))
  const plan = { ...whole, contributors, shares: shareOut(12, 37, { contributors, receivers: [] }) }
  expect(planFault(plan, 12)).toBeUndefined()
  const reducers = plan.shares.flatMap((share) => share.reducers)
  expect(reducers).not.toContain(peers[gone])
  expect(reducers).not.toContain(peers[unreachable])
  // Row 0 has a seventh peer that sits in no column.
  expect(plan.shares[1]!.reducers[0]).toBe(peers[6])
})

test('one that stands in finishes nothing, while its column has others', () => {
  const peers = Array.from({ length: 36 }, (_, i) => `p${String(i).padStart(2, '0')}`)
  const whole = planOf(peers, 12)
  const without = (gone: (seat: number) => boolean): Plan => {
    const contributors = whole.contributors.filter(({ seat }) => !gone(seat))
    return { ...whole, contributors, shares: shareOut(12, 36, { contributors, receivers: [] }) }
  }
  const plan = without((seat) => seat === seatAt(2, 3, 36))
  const [standIn] = reducersOf(plan, 6).filter((peer) => peers.indexOf(peer) % 6 !== 3)
  expect(standIn).toBeDefined()
  for (let part = 0; part < 12; part++) {
    const column = Math.floor(part / 2)
    expect(peers.indexOf(finisherOf(plan, part)!) % 6).toBe(column)
    expect(finishersOf(plan, part)).toHaveLength(column === 3 ? 5 : 6)
  }
  const columnGone = without((seat) => seat % 6 === 3)
  expect(peers).toContain(finisherOf(columnGone, 6))
})

const good = planOf(['a', 'b'], 4)

test.each<[string, Plan]>([
  ['no contributors', { ...good, contributors: [] }],
  ['a contributor without weight', { ...good, contributors: [{ ...contributor('a', 0), weight: 0 }] }],
  ['a list that is not by seat', { ...good, contributors: [...good.contributors].reverse() }],
  ['a council that is not sorted', { ...good, council: ['a', 'a'] }],
  ['a peer in two places', { ...good, followers: [{ peer: 'a', seat: 9 }] }],
  ['two peers in one seat', { ...good, followers: [{ peer: 'y', seat: 2 }] }],
  ['shares that do not follow', { ...good, shares: [good.shares[0]!, { ...good.shares[1]!, firstPart: 1 }] }],
  ['a share without reducers', { ...good, shares: [{ reducers: [''], firstPart: 0, partCount: 4 }] }],
  [
    'a reducer that is not of its row',
    { ...good, shares: [{ reducers: ['stranger'], firstPart: 0, partCount: 4 }] },
  ],
  ['shares of 2 parts for 4', { ...good, shares: [good.shares[0]!] }],
])('a plan with %s is refused', (fault, plan) => {
  expect(planFault(plan, 4)).toContain(fault)
})

test('the identity of a plan covers every field', () => {
  const identity = planIdentity(good).join()
  const [first, second] = good.contributors as [Contributor, Contributor]
  const changed: Partial<Plan>[] = [
    { round: 4 },
    { root: 'other' },
    { seats: 3 },
    { council: ['a'] },
    { contributors: [{ ...first, weight: 2 }, second] },
    { contributors: [{ ...first, commit: 'cd'.repeat(32) }, second] },
    { contributors: [{ ...first, bandwidth: 5 }, second] },
    { contributors: [{ ...first, place: [0, 1] }, second] },
    { receivers: good.receivers.map((receiver) => ({ ...receiver, incarnation: 8 })) },
    { followers: [] },
    { shares: [{ reducers: ['a'], firstPart: 0, partCount: 4 }] },
  ]
  for (const change of changed) expect(planIdentity({ ...good, ...change }).join()).not.toBe(identity)
  expect(partCountOf(good)).toBe(4)
})

test('a seal names every part, and as gone only peers of its plan, and not all', () => {
  const digests = Array.from({ length: 4 }, () => commit)
  expect(sealFault(good, { digests, absent: ['a', 'x'] })).toBeUndefined()
  expect(sealFault(good, { digests: digests.slice(1), absent: [] })).toContain('every part')
  for (const absent of [['y'], ['x', 'a'], ['a', 'a'], ['a', 'b', 'x']])
    expect(sealFault(good, { digests, absent })).toContain('wrong peers as gone')
})
