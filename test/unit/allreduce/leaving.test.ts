/** Leaving well: what a peer gave counts, and those that stay need not wait until they may go on without its vote. */

import { expect, test } from 'vitest'
import { leaderOrder } from '../../../protocols/allreduce/plan/electorate.ts'
import { founded, isKind, onTable, sentIn, type Table } from './table.ts'

const patient = { kind: 'LeaveRequested', withinMs: 8_000 } as const
const hasty = { kind: 'LeaveRequested', withinMs: 0 } as const

const outcomeOf = (table: Table, peer: string, round: number) =>
  table.effects('Committed', peer).find(({ outcome }) => outcome.round === round)?.outcome

const hasLeft = (table: Table, peer: string) => table.effects('Left', peer).length === 1

test.each([0, 1])(
  'of two peers, leader number %i leaves before it trained, and the other goes on at once',
  (place) => {
    const { table, base } = founded(['a', 'b'])
    const leaver = leaderOrder(base.root, base.electorate)[place]!
    const other = leaver === 'a' ? 'b' : 'a'
    table.step(leaver, hasty)
    expect(hasLeft(table, leaver)).toBe(true)
    table.update(other, base, 3)
    table.deal()
    expect(table.committed(other, 1)).toEqual(Array(6).fill(3))
    expect(outcomeOf(table, other, 1)!.electorate).toEqual([other])
  },
)

test('a peer that leaves in the middle of a reduce sums its parts, and its update and vote count', () => {
  const { table, base } = founded()
  for (const [index, peer] of ['a', 'b', 'c'].entries()) table.update(peer, base, index)
  table.deal(isKind('Part'))
  const { plan } = sentIn(table, 1, 'Plan')
  const leaver = plan.shares.at(-1)!.reducers[0]!
  table.step(leaver, patient)
  expect(hasLeft(table, leaver)).toBe(false)
  table.deal()
  expect(hasLeft(table, leaver)).toBe(true)
  for (const peer of ['a', 'b', 'c']) expect(table.committed(peer, 1)).toEqual(Array(6).fill(1))
  const staying = ['a', 'b', 'c'].filter((peer) => peer !== leaver)
  expect(outcomeOf(table, staying[0]!, 1)!.electorate).toEqual(staying)
  expect(table.effects('Send').filter(({ message }) => message.kind === 'Reassign')).toEqual([])
})

test('a peer that gave its update leaves when the plan is late, with its vote handed over and its update not counted', () => {
  const { table, base } = founded(['a', 'b'])
  table.update('a', base, 1)
  table.deal()
  table.step('a', patient)
  table.deal()
  expect(hasLeft(table, 'a')).toBe(false)
  table.wait(8_000)
  expect(hasLeft(table, 'a')).toBe(true)
  table.update('b', base, 5)
  table.deal()
  expect(table.committed('b', 1)).toEqual(Array(6).fill(5))
  expect(outcomeOf(table, 'b', 1)!.electorate).toEqual(['b'])
})

test('when all leave, nobody waits for anybody', () => {
  const { table, base } = founded()
  for (const peer of ['a', 'b', 'c']) table.update(peer, base, 1)
  table.deal(isKind('Part'))
  for (const peer of ['a', 'b', 'c']) table.step(peer, patient)
  table.deal(isKind('Part'))
  for (const peer of ['a', 'b', 'c']) expect(hasLeft(table, peer)).toBe(true)
})

test('the next round does not wait for a peer that is still handing over', () => {
  const { table, base } = founded()
  for (const peer of ['a', 'b', 'c']) table.update(peer, base, 1)
  table.deal(({ message, to }) => message.kind === 'Accepted' && to === 'c')
  table.step('c', patient)
  table.deal(({ message, to }) => message.kind === 'Accepted' && to === 'c')
  const next = { round: 2, root: 'second', electorate: outcomeOf(table, 'a', 1)!.electorate as string[] }
  for (const peer of ['a', 'b']) table.update(peer, next, 7)
  table.deal(({ to }) => to === 'c')
  expect(hasLeft(table, 'c')).toBe(false)
  expect(table.committed('a', 2)).toEqual(Array(6).fill(7))
})

/**
 * Five members of which the last two of the leader order lead nothing here, and the first seals what they have not
 * seen.
 */
function promisedElsewhere() {
  const { table, base } = founded(['a', 'b', 'c', 'd', 'e'])
  const order = leaderOrder(base.root, base.electorate) as [string, string, string, string, string]
  for (const peer of base.electorate) table.update(peer, base, 1)
  table.deal(isKind('Seal'))
  const [, second, , , member] = order
  const ballot = { attempt: 1, leader: second }
  return { table, base, order, member, ballot, prepare: { kind: 'Prepare' as const, round: 1, ballot } }
}

test('a deputy accepts nothing lower than what the member promised before it left', () => {
  const { table, order, member, prepare } = promisedElsewhere()
  table.hand(order[1], member, prepare)
  table.step(member, hasty)
  const { mandate } = onTable(table, 'Leave')[0]!.message
  expect(mandate).toMatchObject({ round: 1, promised: prepare.ballot })
  const { deputy } = mandate!
  table.deal(isKind('Seal'))
  table.deal(({ message, to }) => message.kind === 'Seal' && to !== deputy)
  expect(deputy).not.toBe(order[0])
  const votes = table.effects('Send', deputy).map(({ message }) => message)
  expect(votes.filter((vote) => vote.kind === 'Deputed')).toEqual([])
  expect(votes.filter((vote) => vote.kind === 'Accepted' && vote.round === 1)).toEqual([])
})

test('a deputy answers for the member what it had answered for itself before', () => {
  const { table, order, member, prepare } = promisedElsewhere()
  const [, second] = order
  const others = order.filter((peer) => peer !== member && peer !== second)
  for (const peer of others) table.hand(second, peer, prepare)
  table.step(member, hasty)
  table.deal(isKind('Seal'))
  const promises = table.effects('Send').flatMap(({ to, message }) => {
    return to === second && message.kind === 'Deputed' ? [`${message.member} ${message.message.kind}`] : []
  })
  expect(promises).toEqual([`${member} Promise`])
})

test('a deputy that is heard before the member named it is believed once it has', () => {
  const { table, base } = founded(['a', 'b', 'c', 'd'])
  const order = leaderOrder(base.root, base.electorate)
  const [first, second, third, last] = order as [string, string, string, string]
  table.step(last, hasty)
  const { deputy } = onTable(table, 'Leave')[0]!.message.mandate!
  const listener = [first, second, third].find((peer) => peer !== deputy)!
  const silent = [first, second, third].find((peer) => peer !== deputy && peer !== listener)!
  for (const peer of [first, second, third]) table.update(peer, base, 2)
  // the listener hears itself, the deputy for two, and not the third: without the member's vote that is half of four
  const isKept = ({ from, to, message }: { from: string; to: string; message: { kind: string } }) =>
    (message.kind === 'Leave' && to === listener) ||
    (message.kind === 'Accepted' && from === silent && to === listener)
  table.deal(isKept)
  const before = table.committed(listener, 1)
  table.deal(({ message }) => message.kind === 'Accepted')
  if (listener !== first && deputy !== first) expect(before).toBeUndefined()
  expect(table.committed(listener, 1)).toEqual(Array(6).fill(2))
})

test('nobody votes for a member that did not leave, or that named another', () => {
  const { table, base, order } = promisedElsewhere()
  const [first, second, third, fourth] = order
  const seal = sentIn(table, 1, 'Seal')
  const listener = fourth === 'a' ? 'b' : 'a'
  for (const peer of [fourth, listener]) table.hand(first, peer, seal)
  const accepted = onTable(table, 'Accepted').find(({ from }) => from === fourth)!.message
  for (const member of [first, second, third])
    table.hand(fourth, listener, { kind: 'Deputed', round: 1, member, message: accepted })
  table.cards.length = 0
  table.wait(1)
  for (const peer of base.electorate) expect(table.committed(peer, 1)).toBeUndefined()
})

test('a deputy does not vote for a life of the member that the plan did not name', () => {
  const { table, base } = founded(['a', 'b'])
  const [first, other] = leaderOrder(base.root, base.electorate) as [string, string]
  table.step(first, hasty)
  const [leave] = onTable(table, 'Leave')
  table.cards.length = 0
  const mandate = { ...leave!.message.mandate!, incarnation: 99 }
  table.hand(first, other, { kind: 'Leave', mandate })
  table.update(other, base, 3)
  table.deal()
  table.wait(120_000)
  table.deal()
  expect(table.committed(other, 1)).toBeUndefined()
})

test('a member whose deputy is here is not among those that are away', () => {
  const peers = ['a', 'b', 'c', 'd', 'e']
  const { table } = founded(peers)
  table.step('c', hasty)
  const { mandate } = onTable(table, 'Leave')[0]!.message
  table.deal()
  const { deputy } = mandate!
  table.step(deputy, { kind: 'StateReady', base: { round: 2, root: 'second', electorate: peers } })
  const gone = peers.filter((peer) => peer !== deputy && peer !== 'c')
  for (const peer of gone) table.step(deputy, { kind: 'LinkDown', peer })
  const lost = table.effects('QuorumLost', deputy).filter(({ round }) => round === 2)
  expect(lost).toMatchObject([{ deciding: peers, missing: gone }])
})

test('a deputy that is no member of the next round has no vote to cast there: the quorum is lost, and said to be', () => {
  const { table } = founded(['a', 'b', 'c', 'd'])
  table.step('c', hasty)
  const { mandate } = onTable(table, 'Leave')[0]!.message
  table.deal()
  expect(mandate!.deputy).toBe('a')
  const electorate = ['b', 'c']
  const root = ['second', 'other', 'third'].find((name) => leaderOrder(name, electorate)[0] === 'c')!
  table.step('b', { kind: 'StateReady', base: { round: 2, root, electorate } })
  expect(table.effects('QuorumLost', 'b')).toMatchObject([{ round: 2, missing: ['c'] }])
})
