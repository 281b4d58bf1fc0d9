/** The machine, card by card: what a vote means, and who may give one. */

import { expect, test } from 'vitest'
import { leaderOrder } from '../../../protocols/allreduce/plan/electorate.ts'
import { signatureOf } from '../../../simulator/signatures.ts'
import { founded, isKind, onTable, sentIn } from './table.ts'

test('nobody commits before a quorum has accepted', () => {
  const { table, base } = founded()
  for (const peer of ['a', 'b', 'c']) table.update(peer, base, 1)
  table.deal(isKind('Accepted'))
  for (const peer of ['a', 'b', 'c']) expect(table.committed(peer, 1)).toBeUndefined()
  // Each knows its own vote; one more makes two of three.
  const vote = onTable(table, 'Accepted').find(({ to }) => to === 'a')!
  table.hand(vote.from, 'a', vote.message)
  expect(table.committed('a', 1)).toEqual(Array(6).fill(1))
  expect(table.committed('b', 1)).toBeUndefined()
})

test('a peer accepts only a seal whose bytes it holds, and asks for those it lacks', () => {
  const { table, base } = founded()
  for (const peer of ['a', 'b', 'c']) table.update(peer, base, 1)
  const [leader, second] = leaderOrder(base.root, base.electorate)
  table.deal(({ message, to }) => message.kind === 'Result' && to === second)
  const voters = table
    .effects('Send')
    .flatMap(({ message }) => (message.kind === 'Accepted' ? [message] : []))
  expect(voters.length).toBeGreaterThan(0)
  const isVoted = () =>
    table.effects('Send', second).some(({ message }) => message.kind === 'Accepted' && message.round === 1)
  expect(isVoted()).toBe(false)
  table.cards.length = 0 // the pushed results are lost
  table.wait(2_000)
  expect(onTable(table, 'Want').some(({ from }) => from === second)).toBe(true)
  table.deal()
  expect(table.committed(second!, 1)).toEqual(Array(6).fill(1))
  expect(table.committed(leader!, 1)).toEqual(Array(6).fill(1))
})

test('who promised a higher ballot does not accept a lower one, and tells its leader', () => {
  const { table, base } = founded()
  for (const peer of ['a', 'b', 'c']) table.update(peer, base, 1)
  const [leader, second, third] = leaderOrder(base.root, base.electorate) as [string, string, string]
  table.deal(isKind('Seal'))
  table.hand(second, third, { kind: 'Prepare', round: 1, ballot: { attempt: 1, leader: second } })
  const seal = onTable(table, 'Seal').find(({ to }) => to === third)!
  table.cards.length = 0
  table.hand(leader, third, seal.message)
  expect(onTable(table, 'Accepted')).toEqual([])
  expect(onTable(table, 'Outbid')).toMatchObject([
    { to: leader, message: { ballot: { attempt: 1, leader: second } } },
  ])
})

test('a later leader proposes again what may have been decided', () => {
  const { table, base } = founded()
  for (const peer of ['a', 'b', 'c']) table.update(peer, base, 1)
  const [leader, second, third] = leaderOrder(base.root, base.electorate) as [string, string, string]
  // The leader and the third accept, which decides; then the leader is gone, and its vote reached nobody.
  table.deal(
    ({ message, from, to }) =>
      message.kind === 'Accepted' || (message.kind === 'Seal' && to === second && from === leader),
  )
  const seals = table
    .effects('Send', leader)
    .flatMap(({ message }) => (message.kind === 'Seal' ? [message] : []))
  table.cards.length = 0
  table.remove(leader)
  table.deal()
  const again = table
    .effects('Send', second)
    .flatMap(({ message }) => (message.kind === 'Seal' ? [message] : []))
  expect(again[0]).toMatchObject({
    planId: seals.at(-1)!.planId,
    digests: seals.at(-1)!.digests,
    absent: seals.at(-1)!.absent,
  })
  for (const peer of [second, third]) expect(table.committed(peer, 1)).toEqual(Array(6).fill(1))
})

test('a peer that restarts in a round does not vote in it', () => {
  const { table, base } = founded()
  for (const peer of ['a', 'b']) table.update(peer, base, 1)
  table.deal()
  table.remove('c')
  table.seat('c', 3, 2)
  for (const peer of ['a', 'b']) {
    table.step('c', { kind: 'LinkUp', peer })
    table.step(peer, { kind: 'LinkUp', peer: 'c' })
  }
  table.step('c', { kind: 'JoinAsReceiver', base })
  table.deal()
  table.wait(1)
  table.deal()
  expect(table.committed('c', 1)).toEqual(Array(6).fill(1))
  expect(
    table.effects('Send', 'c').filter(({ message }) => message.kind === 'Accepted' && message.round === 1),
  ).toEqual([])
  const next = {
    round: 2,
    root: 'second',
    electorate: table.effects('Committed', 'c').at(-1)!.outcome.electorate as string[],
  }
  expect(next.electorate).toContain('c')
  for (const peer of ['a', 'b', 'c']) table.update(peer, next, 2)
  table.deal()
  expect(
    table.effects('Send', 'c').some(({ message }) => message.kind === 'Accepted' && message.round === 2),
  ).toBe(true)
})

test('a member that fetched the state votes again once it learns that it was made a member', () => {
  const { table, base } = founded()
  for (const peer of ['a', 'b', 'c']) table.update(peer, base, 1)
  table.deal(({ message, to }) => to === 'c' && (message.kind === 'Accepted' || message.kind === 'Seal'))
  const withheld = table.cards.splice(0)
  expect(table.committed('c', 1)).toBeUndefined()
  const next = { round: 2, root: 'second', electorate: ['a', 'b', 'c'] }
  for (const peer of ['a', 'b']) table.step(peer, { kind: 'StateReady', base: next })
  table.update('c', next, 5) // it fetched state 2 from somebody
  table.deal()
  for (const { from, message } of withheld) table.hand(from, 'c', message)
  table.deal()
  expect(table.committed('c', 1)).toEqual(Array(6).fill(1))
  table.remove('a') // now nothing can be decided without the vote of c
  table.update('b', next, 5)
  table.deal()
  expect(
    table.effects('Send', 'c').some(({ message }) => message.kind === 'Accepted' && message.round === 2),
  ).toBe(true)
  expect(table.committed('c', 2)).toEqual(Array(6).fill(5))
})

test('a plan whose contributors all restarted is made anew', () => {
  const { table, base } = founded()
  const [leader, second, third] = leaderOrder(base.root, base.electorate) as [string, string, string]
  // Only `third` is in the plan, which everyone knows; it restarts, and then the leader goes.
  table.update(third, base, 1)
  table.deal()
  table.wait(60_000)
  table.deal(isKind('Part', 'Result'))
  expect(sentIn(table, 1, 'Plan').plan.contributors.map(({ peer }) => peer)).toEqual([third])
  table.cards.length = 0
  table.remove(third)
  table.seat(third, 3, 2)
  for (const peer of [leader, second]) {
    table.step(third, { kind: 'LinkUp', peer })
    table.step(peer, { kind: 'LinkUp', peer: third })
  }
  table.step(third, { kind: 'JoinAsReceiver', base })
  table.deal()
  for (const peer of [leader, second]) table.update(peer, base, 7)
  table.deal()
  for (let i = 0; i < 4; i++) {
    table.wait(60_000)
    table.deal()
  }
  expect(table.committed(second, 1)).toEqual(Array(6).fill(7))
})

test('nobody tells the votes of others where each voter tells its own', () => {
  const { table, base } = founded()
  for (const peer of ['a', 'b', 'c']) table.update(peer, base, 1)
  table.deal(isKind('Accepted'))
  const { ballot, sealDigest } = onTable(table, 'Accepted').find(
    ({ message }) => message.round === 1,
  )!.message
  const votes = ['a', 'b', 'c'].map((voter) => ({ voter, signature: signatureOf('b', Uint8Array.of()) }))
  table.hand('b', 'a', { kind: 'Votes', round: 1, ballot, sealDigest, votes })
  expect(table.effects('Refused', 'a').at(-1)).toMatchObject({ peer: 'b' })
  expect(table.committed('a', 1)).toBeUndefined()
})
