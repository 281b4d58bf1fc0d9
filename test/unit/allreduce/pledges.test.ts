/** The machine, card by card, with a peer that is killed and comes back with its disk: what it said binds it. */

import { expect, test } from 'vitest'
import { leaderOrder } from '../../../protocols/allreduce/plan/electorate.ts'
import { decodePledge, encodePledge } from '../../../protocols/allreduce/pledge-codec.ts'
import type { Effect } from '../../../protocols/allreduce/round/events.ts'
import type { Pledge } from '../../../protocols/allreduce/round/pledge.ts'
import type { Message } from '../../../protocols/allreduce/round/vocabulary.ts'
import { founded, hash, isKind, onTable, type Table } from './table.ts'

const lastPledge = (table: Table, peer: string) => table.effects('Pledged', peer).at(-1)?.pledge

/**
 * Where in `peer`'s effects the first message of `kind` in round 1 stands, and where a pledge before it that `isBond`.
 */
function placesOf(table: Table, peer: string, kind: Message['kind'], isBond: (pledge: Pledge) => boolean) {
  const effects: Effect[] = table.all(peer)
  const said = effects.findIndex(
    (effect) =>
      effect.kind === 'Send' &&
      effect.message.kind === kind &&
      'round' in effect.message &&
      effect.message.round === 1,
  )
  const pledged = effects.findIndex(
    (effect) => effect.kind === 'Pledged' && effect.pledge?.round === 1 && isBond(effect.pledge),
  )
  return { said, pledged }
}

test('what binds a peer is written before it is said: its membership, its ballot, its promise, its vote', () => {
  const { table, base } = founded()
  const [leader, second, third] = leaderOrder(base.root, base.electorate) as [string, string, string]
  for (const peer of ['a', 'b', 'c']) table.update(peer, base, 1)
  table.deal(isKind('Plan'))
  table.cards.length = 0
  table.remove(leader) // the second prepares, the third promises, and both accept
  table.deal()
  expect(table.committed(third, 1)).toEqual(Array(6).fill(1))
  const cases = [
    placesOf(table, third, 'Hold', ({ since }) => since === 1),
    placesOf(table, leader, 'Plan', ({ promised }) => promised?.leader === leader),
    placesOf(table, second, 'Prepare', ({ promised }) => promised?.leader === second),
    placesOf(table, third, 'Promise', ({ promised }) => promised?.leader === second),
    placesOf(table, third, 'Accepted', ({ accepted }) => accepted?.ballot.leader === second),
  ]
  for (const { said, pledged } of cases) {
    expect(pledged).toBeGreaterThanOrEqual(0)
    expect(said).toBeGreaterThan(pledged)
  }
})

test('the first leader of two decides alone, is killed before anyone hears of it, and finds its decision on its disk', () => {
  const { table, base } = founded(['a', 'b'])
  const [leader, other] = leaderOrder(base.root, base.electorate) as [string, string]
  for (const peer of ['a', 'b']) table.update(peer, base, 1)
  table.deal(({ message }) => message.kind === 'Seal' || message.kind === 'Accepted')
  table.cards.length = 0
  expect(table.committed(leader, 1)).toEqual(Array(6).fill(1))
  const { sealDigest } = table.effects('Committed', leader).at(-1)!.outcome
  table.remove(leader)
  table.deal()
  table.wait(600_000)
  table.deal()
  expect(table.committed(other, 1)).toBeUndefined()

  table.restart(leader, 2)
  table.update(leader, base, 9) // it trains anew, and comes too late with it
  table.deal()
  for (let asked = 0; asked < 2; asked++) {
    table.wait(2_000) // the other asks for the seal, then for its results
    table.deal()
  }
  for (const peer of [leader, other]) {
    const outcome = table.effects('Committed', peer).at(-1)!.outcome
    expect(outcome).toMatchObject({ round: 1, sealDigest })
    expect(table.committed(peer, 1)).toEqual(Array(6).fill(1))
  }
})

test('a peer that comes back keeps the promise that its former life gave', () => {
  const { table, base } = founded()
  for (const peer of ['a', 'b', 'c']) table.update(peer, base, 1)
  const [, second, third] = leaderOrder(base.root, base.electorate) as [string, string, string]
  table.deal(isKind('Seal'))
  table.hand(second, third, { kind: 'Prepare', round: 1, ballot: { attempt: 1, leader: second } })
  table.cards.length = 0
  table.remove(third)
  table.restart(third, 2)
  const before = table.all(third).length
  table.step(third, { kind: 'StateReady', base })
  table.deal(({ to, from }) => to === second || from === second) // the leader repeats its plan and its seal
  const said = table.all(third).flatMap((effect, place) => {
    return effect.kind === 'Send' && place >= before ? [effect.message] : []
  })
  expect(said.filter(({ kind }) => kind === 'Accepted')).toEqual([])
  expect(said).toContainEqual({ kind: 'Outbid', round: 1, ballot: { attempt: 1, leader: second } })
})

test('a leader that comes back proposes nothing in the ballot of its former life, and leads its next one', () => {
  const { table, base } = founded(['a', 'b'])
  const [leader, other] = leaderOrder(base.root, base.electorate) as [string, string]
  table.update(leader, base, 1)
  table.deal()
  table.remove(leader) // the other alone is no quorum
  table.cards.length = 0
  table.restart(leader, 2)
  for (const peer of [leader, other]) table.update(peer, base, 5)
  table.deal()
  const ballots = table
    .effects('Send', leader)
    .flatMap(({ message }) => (message.kind === 'Plan' && message.round === 1 ? [message.ballot] : []))
  expect(ballots[0]).toEqual({ attempt: 2, leader })
  for (const peer of [leader, other]) expect(table.committed(peer, 1)).toEqual(Array(6).fill(5))
})

test('a peer that comes back without its disk says that it has no vote, and does not vote', () => {
  const { table, base } = founded(['a', 'b'])
  const [leader, other] = leaderOrder(base.root, base.electorate) as [string, string]
  table.remove(other)
  table.seat(other, 1, 2)
  table.step(other, { kind: 'LinkUp', peer: leader })
  table.step(other, { kind: 'StateReady', base })
  expect(onTable(table, 'Hold').find(({ from }) => from === other)).toMatchObject({
    message: { isVoter: false },
  })
  expect(lastPledge(table, other)?.since).toBe(1) // of its former life: this one wrote nothing over it
  expect(table.effects('Pledged', other)).toHaveLength(1)
})

test('who hands its vote over removes its pledge before it says so', () => {
  const { table } = founded()
  table.step('a', { kind: 'LeaveRequested', withinMs: 0 })
  const effects = table.all('a')
  const removed = effects.findIndex((effect) => effect.kind === 'Pledged' && effect.pledge === undefined)
  const left = effects.findIndex((effect) => effect.kind === 'Send' && effect.message.kind === 'Leave')
  expect(removed).toBeGreaterThanOrEqual(0)
  expect(left).toBeGreaterThan(removed)
})

test('a pledge is read as it was written, and anything else is refused', () => {
  const { table, base } = founded(['a', 'b'])
  for (const peer of ['a', 'b']) table.update(peer, base, 1)
  table.deal()
  const pledge = lastPledge(table, 'a')!
  expect(pledge.accepted!.results).toHaveLength(3)
  const bytes = new Uint8Array(encodePledge(pledge, 'a').flatMap((piece) => [...piece]))
  expect(decodePledge(bytes, { peer: 'a', hash })).toEqual(pledge)
  expect(() => decodePledge(bytes, { peer: 'b', hash })).toThrow("it is peer a's, not peer b's")
  for (let length = 0; length < bytes.length; length++)
    expect(() => decodePledge(bytes.subarray(0, length), { peer: 'a', hash })).toThrow('unreadable')
})
