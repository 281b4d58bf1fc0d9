/** A peer that has fetched a state while the others went on: what it is told of their rounds, so that it need not ask. */

import { expect, test } from 'vitest'
import { type Card, founded, type Table } from './table.ts'

const members = ['a', 'b', 'c']

/** State `round` of a run of `members`. */
const stateOf = (round: number) => ({
  round,
  root: round === 1 ? 'first' : `state ${round}`,
  electorate: members,
})

/** The members train and average in the round of state `round`; `isKept` stays on the table. */
function goOn(table: Table, round: number, isKept?: (card: Card) => boolean): void {
  for (const peer of members) table.step(peer, { kind: 'StateReady', base: stateOf(round) })
  for (const peer of members) table.update(peer, stateOf(round), round)
  table.deal(isKept)
}

/** Members in round 1, and `f`, which follows them without a state. */
function followed(): Table {
  const { table } = founded(members)
  table.seat('f', members.length)
  for (const peer of members) {
    table.step('f', { kind: 'LinkUp', peer })
    table.step(peer, { kind: 'LinkUp', peer: 'f' })
  }
  table.step('f', { kind: 'FollowStarted' })
  table.deal()
  return table
}

/** What `f` asked for. */
const asked = (table: Table) => table.effects('Send', 'f').filter(({ message }) => /^Want/.test(message.kind))

test('a newcomer whose state is older than the round that others plan is sent the means of that round all the same', () => {
  const table = followed()
  goOn(table, 1)
  table.step('f', { kind: 'JoinAsReceiver', base: stateOf(1) })
  table.deal()
  goOn(table, 2) // planned before it can say that it has come to state 2
  const { plan } = table.effects('Committed', 'a').at(-1)!.outcome
  expect(plan.followers.map(({ peer }) => peer)).toEqual(['f'])
  table.step('f', { kind: 'JoinAsReceiver', base: stateOf(2) })
  expect(table.committed('f', 2)).toEqual(Array(6).fill(2))
  expect(asked(table)).toEqual([])
})

test('what a newcomer is told of two rounds that it has not come to is there when it does', () => {
  const table = followed()
  const isSlow = ({ to, message }: Card) => to === 'f' && message.kind === 'Result' && message.round === 1
  goOn(table, 1, isSlow)
  table.step('f', { kind: 'JoinAsReceiver', base: stateOf(1) })
  goOn(table, 2, isSlow)
  goOn(table, 3, isSlow)
  expect(table.cards.filter(isSlow).length).toBeGreaterThan(0)
  expect(table.effects('Committed', 'f')).toEqual([])
  table.deal()
  for (const round of [2, 3]) table.step('f', { kind: 'JoinAsReceiver', base: stateOf(round) })
  for (const round of [1, 2, 3])
    expect(table.committed('f', round), `round ${round}`).toEqual(Array(6).fill(round))
  expect(asked(table)).toEqual([])
  expect(table.effects('Behind', 'f')).toEqual([])
})

test('who looked for a later state, found none, and is back in its round is counted on there again', () => {
  const { table, base } = founded(members)
  table.update('b', base, 1)
  table.deal()
  table.step('b', { kind: 'FollowStarted' })
  table.deal()
  table.step('b', { kind: 'StateReady', base })
  table.deal()
  table.remove('c')
  table.update('a', base, 1)
  table.deal()
  table.wait(20_000)
  table.deal()
  expect(table.effects('QuorumLost')).toEqual([])
  for (const peer of ['a', 'b']) expect(table.committed(peer, 1), peer).toEqual(Array(6).fill(1))
})
