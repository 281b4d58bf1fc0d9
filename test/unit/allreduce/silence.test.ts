/** The machine when links fall silent, card by card: who is waited for no more, and what becomes of them. */

import { expect, test } from 'vitest'
import { leaderOrder } from '../../../protocols/allreduce/plan/electorate.ts'
import { founded, isKind, onTable, sentIn } from './table.ts'

const [first, second] = leaderOrder('first', ['a', 'b', 'c', 'd']) as [string, string]
const peers = ['a', 'b', 'c', 'd']

/** Round 1 of four peers, planned, with all parts on the table; everyone else finds the link of `silent` silent. */
function silenced(silent: string) {
  const { table, base } = founded([...peers])
  for (const peer of peers) table.update(peer, base, 1)
  table.deal(isKind('Part'))
  const others = peers.filter((peer) => peer !== silent)
  for (const peer of others) table.step(peer, { kind: 'LinkSilent', peer: silent })
  return { table, others }
}

test('a silent leader is followed at once; heard again it ends the round that the others decided, and nothing is said twice', () => {
  const { table, others } = silenced(first)
  expect(onTable(table, 'Prepare').map(({ from, to }) => [from, to])).toEqual(
    peers.filter((peer) => peer !== second).map((peer) => [second, peer]),
  )
  const isCutOff = ({ from, to }: { from: string; to: string }) => from === first || to === first
  table.deal(isCutOff)
  for (const peer of others) expect(table.committed(peer, 1), peer).toEqual(Array(6).fill(1))
  expect(table.committed(first, 1)).toBeUndefined()
  const onTheWay = table.cards.length
  for (const peer of others) table.step(peer, { kind: 'LinkHeard', peer: first })
  expect(table.cards).toHaveLength(onTheWay)
  table.deal()
  expect(table.committed(first, 1)).toEqual(Array(6).fill(1))
  const { electorate } = table.effects('Committed', first).at(-1)!.outcome
  expect(electorate).toEqual(others)
})

test('the parts of a silent reducer are given to others, and its own update counts where it was delivered', () => {
  const { plan } = sentIn(silenced(first).table, 1, 'Plan')
  const reducer = plan.shares.map(({ reducers }) => reducers[0]!).find((peer) => peer !== first)!
  const { table, others } = silenced(reducer)
  const isCutOff = ({ from, to }: { from: string; to: string }) => from === reducer || to === reducer
  expect(onTable(table, 'Reassign').map(({ from }) => from)).toContain(first)
  table.deal(isCutOff)
  for (const peer of others) expect(table.committed(peer, 1), peer).toEqual(Array(6).fill(1))
  const { complete } = table.effects('Committed', first).at(-1)!.outcome
  expect(complete.map(({ peer }) => peer)).toEqual(others)
})

test('the update of a silent peer is not waited for; that of one which is heard again in time is', () => {
  const late = peers.find((peer) => peer !== first)!
  const commitsOf = (isHeardAgain: boolean): string[] => {
    const { table, base } = founded([...peers])
    table.step(first, { kind: 'LinkSilent', peer: late })
    if (isHeardAgain) table.step(first, { kind: 'LinkHeard', peer: late })
    for (const peer of [...peers.filter((peer) => peer !== late), late]) {
      table.update(peer, base, 1)
      table.deal()
    }
    return table
      .effects('Committed', first)
      .at(-1)!
      .outcome.complete.map(({ peer }) => peer)
  }
  expect(commitsOf(false)).toEqual(peers.filter((peer) => peer !== late))
  expect(commitsOf(true)).toEqual(peers)
})

test('of two peers the one that does not lead first says for whom it waits, and they go on when that is heard again', () => {
  const { table, base } = founded(['a', 'b'])
  const [leader, other] = leaderOrder(base.root, base.electorate) as [string, string]
  for (const peer of [leader, other])
    table.step(peer, { kind: 'LinkSilent', peer: peer === leader ? other : leader })
  expect(table.effects('QuorumLost', leader)).toEqual([]) // half of the votes and the first leader are a quorum
  expect(table.effects('QuorumLost', other)).toEqual([
    {
      kind: 'QuorumLost',
      round: 1,
      live: [other],
      deciding: ['a', 'b'],
      missing: [leader],
      expiresInMs: Number.POSITIVE_INFINITY,
    },
  ])
  for (const peer of [leader, other]) {
    table.step(peer, { kind: 'LinkHeard', peer: peer === leader ? other : leader })
    table.update(peer, base, 3)
  }
  table.deal()
  expect(table.committed(other, 1)).toEqual(Array(6).fill(3))
})

test('whoever promised a ballot of a leader that is gone tells the next, who may not have heard of it', () => {
  const { table } = silenced(first)
  const [, , third] = leaderOrder('first', peers) as [string, string, string]
  const witness = peers.find((peer) => ![first, second, third].includes(peer))!
  table.deal((card) => card.message.kind !== 'Prepare' || card.to !== witness) // the others never hear it
  table.cards.length = 0
  for (const peer of [third, witness]) {
    table.step(peer, { kind: 'LinkHeard', peer: first }) // so the third waits for the first again
    table.step(peer, { kind: 'LinkSilent', peer: second })
  }
  expect(onTable(table, 'Outbid').map(({ from, to }) => [from, to])).toEqual([[witness, third]])
  table.deal()
  expect(sentIn(table, 1, 'Prepare').ballot).toEqual({ attempt: 1, leader: second })
  const prepared = table.effects('Send', third).map(({ message }) => message)
  expect(prepared.find(({ kind }) => kind === 'Prepare')).toMatchObject({
    ballot: { attempt: 2, leader: third },
  })
})

test('a successor whose link is only on its way is told when it is up', () => {
  const { table } = silenced(first)
  const [, , third, witness] = leaderOrder('first', peers) as [string, string, string, string]
  table.deal((card) => card.message.kind !== 'Prepare' || card.to === witness)
  table.cards.length = 0
  const others = peers.filter((peer) => peer !== witness)
  table.step(witness, { kind: 'LinkDown', peer: third })
  table.step(witness, { kind: 'PeersKnown', peers: others.filter((peer) => peer !== third) })
  for (const peer of others) if (peer !== third) table.step(witness, { kind: 'LinkUp', peer })
  table.step(witness, { kind: 'PeersKnown', peers: others }) // now the link to the third is asked for
  table.step(witness, { kind: 'LinkSilent', peer: first })
  table.step(witness, { kind: 'LinkSilent', peer: second })
  expect(onTable(table, 'Outbid')).toEqual([])
  table.step(witness, { kind: 'LinkUp', peer: third })
  expect(onTable(table, 'Outbid').map(({ from, to }) => [from, to])).toEqual([[witness, third]])
})

test('who is left is told in how many seconds it goes on, unless it may not: it is no member of the round', () => {
  const lost = (electorate: string[]) => {
    const { table } = founded(['a', 'b', 'c'], 60_000)
    table.step('a', { kind: 'StateReady', base: { round: 2, root: 'second', electorate } })
    for (const peer of ['b', 'c']) table.step('a', { kind: 'LinkDown', peer })
    const ofRound = table.effects('QuorumLost', 'a').filter(({ round }) => round === 2)
    return ofRound.map(({ deciding, expiresInMs }) => ({ deciding, expiresInMs }))
  }
  const others = ['b', 'c']
  expect(lost(['a', ...others])).toEqual([{ deciding: ['a', ...others], expiresInMs: 60_000 }])
  expect(lost(others)).toEqual([{ deciding: others, expiresInMs: Number.POSITIVE_INFINITY }])
})
