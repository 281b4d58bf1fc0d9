/** The machine, card by card: what a round comes to, and for whom, whoever is slow, late or gone. */

import { expect, test } from 'vitest'
import { leaderOrder } from '../../../protocols/allreduce/plan/electorate.ts'
import { type Card, founded, genesis, hash, isKind, onTable, sentIn, Table } from './table.ts'

test('a round ends with the weighted mean, the same on every peer, and all of them decide on the next', () => {
  const table = new Table(['a', 'b', 'c'])
  table.update('a', genesis, 1, 1)
  table.update('b', genesis, 2, 2)
  table.update('c', genesis, 6, 5)
  table.deal()
  for (const peer of ['a', 'b', 'c']) expect(table.committed(peer, 0)).toEqual(Array(6).fill(35 / 8))
  const { electorate, totalWeight } = table.effects('Committed', 'a')[0]!.outcome
  expect(electorate).toEqual(['a', 'b', 'c'])
  expect(totalWeight).toBe(8)
  expect(table.effects('Refused')).toEqual([])
})

test('a run of one peer commits its own update', () => {
  const table = new Table(['a'])
  table.update('a', genesis, 3)
  expect(table.committed('a', 0)).toEqual(Array(6).fill(3))
})

test('the first round waits for as many updates as the run asks for, and says so', () => {
  const table = new Table(['a', 'b', 'c'])
  table.update('a', genesis, 1)
  table.update('b', genesis, 1)
  table.deal()
  table.wait(600_000)
  table.deal()
  expect(table.committed('a', 0)).toBeUndefined()
  expect(table.machines.get('a')!.pending()).toBe('round 0: waiting for peers: 2 of 3 are ready')
})

test('inputs are summed in the order of the plan, whatever the order of arrival', () => {
  const { table, base } = founded()
  for (const [index, peer] of ['a', 'b', 'c'].entries()) table.update(peer, base, index)
  table.deal(isKind('Part'))
  table.cards.reverse()
  table.deal()
  const reductions = table.effects('Reduce').filter(({ round }) => round === 1)
  expect(reductions).toHaveLength(3)
  for (const { inputs } of reductions) {
    const firsts = inputs.map(({ bytes }) => new DataView(bytes.buffer, bytes.byteOffset).getFloat32(1, true))
    expect(firsts).toEqual([0, 1, 2])
  }
})

test('a reducer waits for the part of a peer whose commit is slower than the plan', () => {
  const { table, base } = founded()
  for (const peer of ['a', 'b', 'c']) table.update(peer, base, 1)
  const leader = leaderOrder(base.root, base.electorate)[0]!
  const [slow, reducer] = base.electorate.filter((peer) => peer !== leader) as [string, string]
  const isHeld = ({ from, to }: Card) => from === slow && to === reducer
  table.deal(isHeld)
  expect(table.effects('Reduce', reducer).filter(({ round }) => round === 1)).toEqual([])
  table.deal()
  const outcome = table.effects('Committed', reducer).at(-1)!.outcome
  expect(outcome.complete.map(({ peer }) => peer)).toEqual(['a', 'b', 'c'])
})

test('a reducer that dies costs nothing but its unfinished part, and its own update counts where it was delivered', () => {
  const { table, base } = founded(['a', 'b', 'c', 'd'])
  for (const [index, peer] of ['a', 'b', 'c', 'd'].entries()) table.update(peer, base, index)
  const leader = leaderOrder(base.root, base.electorate)[0]!
  table.deal(isKind('Part'))
  const { plan } = sentIn(table, 1, 'Plan')
  const victim = plan.shares.map(({ reducers }) => reducers[0]!).find((peer) => peer !== leader)!
  const share = plan.shares.find(({ reducers }) => reducers[0] === victim)!
  table.deal(({ message, to }) => message.kind === 'Part' && to === victim)
  table.cards.length = 0
  table.remove(victim)
  table.deal()
  const outcome = table.effects('Committed', leader).find(({ outcome }) => outcome.round === 1)!.outcome
  const index = plan.contributors.findIndex(({ peer }) => peer === victim)
  for (const [part, { bitmap }] of outcome.parts.entries()) {
    expect((bitmap[0]! >> index) & 1, `part ${part}`).toBe(part === share.firstPart ? 0 : 1)
  }
  expect(outcome.electorate).toEqual(['a', 'b', 'c', 'd'].filter((peer) => peer !== victim))
  expect(outcome.complete.map(({ peer }) => peer)).not.toContain(victim)
})

test('a slow peer gets the result, stays a member, and its call is answered when it comes', () => {
  const { table, base } = founded()
  for (const peer of ['a', 'b']) table.update(peer, base, 1)
  table.deal()
  expect(table.committed('a', 1)).toBeUndefined()
  table.wait(3_000)
  table.deal()
  expect(table.committed('a', 1)).toEqual(Array(6).fill(1))
  const before = table.effects('Committed', 'c').length
  table.update('c', base, 100)
  expect(table.effects('Committed', 'c')).toHaveLength(before + 1)
  expect(table.effects('Committed', 'c').at(-1)!.outcome.electorate).toEqual(['a', 'b', 'c'])
})

/** A table at which `f` has followed round 1, to which `a`, `b` and `c` gave 4. */
function followed() {
  const { table, base } = founded()
  table.seat('f', 3)
  for (const peer of ['a', 'b', 'c']) {
    table.step('f', { kind: 'LinkUp', peer })
    table.step(peer, { kind: 'LinkUp', peer: 'f' })
  }
  table.step('f', { kind: 'FollowStarted' })
  table.deal()
  for (const peer of ['a', 'b', 'c']) table.update(peer, base, 4)
  table.deal()
  return { table, base }
}

test('a follower learns every round without having a state', () => {
  const { table } = followed()
  expect(table.committed('f', 1)).toEqual(Array(6).fill(4))
  expect(table.effects('Committed', 'a').at(-1)!.outcome.electorate).toEqual(['a', 'b', 'c'])
})

test('a round that was decided before this peer came to it is answered at once', () => {
  const { table, base } = followed()
  const before = table.effects('Committed', 'f').length
  table.step('f', { kind: 'JoinAsReceiver', base })
  expect(table.effects('Committed', 'f')).toHaveLength(before + 1)
  expect(table.machines.get('f')!.pending()).toBe('round 2: the state is not here yet')
})

test('a peer that gave an update and asks again only to receive keeps its update in the round', () => {
  const { table, base } = founded()
  table.update('a', base, 4)
  table.step('a', { kind: 'JoinAsReceiver', base })
  for (const peer of ['b', 'c']) table.update(peer, base, 1)
  table.deal()
  expect(table.committed('a', 1)).toEqual(Array(6).fill(2))
  expect(table.effects('Refused')).toEqual([])
})

/**
 * Round 1 and those after it up to the state `last`, by `peers`; returns what `asker` gets for part 0 of a round from
 * 'a'.
 */
function roundsUpTo(last: number, { table, base }: ReturnType<typeof founded>, peers: readonly string[]) {
  for (let round = base.round; round < last; round++) {
    const { electorate } = table.effects('Committed', 'a').at(-1)!.outcome
    const current = { round, root: round === 1 ? base.root : `state ${round}`, electorate: [...electorate] }
    if (round > 1) for (const peer of peers) table.step(peer, { kind: 'StateReady', base: current })
    for (const peer of peers) table.update(peer, current, 1)
    table.deal()
  }
  return (asker: string, round: number) => {
    const { planId } = table.effects('Committed', 'a').find(({ outcome }) => outcome.round === round)!.outcome
    table.hand(asker, 'a', { kind: 'Want', round, planId, part: 0, digest: undefined })
    return table.cards.splice(0).map(({ message }) => message.kind)
  }
}

test('results are served until all that the round concerned hold a later state, and then let go', () => {
  const { table, base } = founded()
  const ask = roundsUpTo(3, { table, base }, ['a', 'b', 'c'])
  const state = { round: 3, root: 'state 3', electorate: ['a', 'b', 'c'] }
  for (const peer of ['a', 'b']) table.step(peer, { kind: 'StateReady', base: state })
  table.deal()
  expect(ask('c', 1)).toEqual([])
  expect(ask('c', 2)).toEqual(['Result'])
  table.hand('c', 'a', { kind: 'Want', round: 2, planId: hash(new Uint8Array()), part: 0, digest: undefined })
  expect(table.cards.splice(0).map(({ message }) => message.kind)).toEqual(['Lacking'])
  table.step('c', { kind: 'StateReady', base: state })
  table.deal()
  expect(ask('c', 2)).toEqual([])
})

test('a peer that falls back to a state whose round it has let go is told to fetch a later one', () => {
  const { table, base } = founded()
  roundsUpTo(3, { table, base }, ['a', 'b', 'c'])
  const state = { round: 3, root: 'state 3', electorate: ['a', 'b', 'c'] }
  for (const peer of ['a', 'b', 'c']) table.step(peer, { kind: 'StateReady', base: state })
  table.deal()
  table.step('a', { kind: 'StateReady', base: { round: 2, root: 'state 2', electorate: ['a', 'b', 'c'] } })
  expect(table.effects('Behind', 'a').map(({ round, root }) => ({ round, root }))).toEqual([
    { round: 3, root: 'state 3' },
  ])
})

test('a peer that left is not waited for', () => {
  const { table, base } = founded()
  for (const peer of ['a', 'b']) table.update(peer, base, 1)
  table.step('c', { kind: 'LeaveRequested', withinMs: 0 })
  table.deal()
  expect(table.committed('a', 1)).toEqual(Array(6).fill(1))
  expect(table.effects('Committed', 'a').at(-1)!.outcome.electorate).toEqual(['a', 'b'])
})

test('a part that comes while its mean is being computed is not counted', () => {
  const { table, base } = founded()
  for (const peer of ['a', 'b', 'c']) table.update(peer, base, 1)
  table.deal(isKind('Part'))
  const { plan } = sentIn(table, 1, 'Plan')
  const [victim, late] = plan.shares.map(({ reducers }) => reducers[0]) as [string, string]
  const lost = onTable(table, 'Part').filter(({ from, to }) => from === late && to === victim)
  table.holdReductions = true
  table.step(victim, { kind: 'LinkDown', peer: late })
  table.deal(({ from, to }) => from === late && to === victim)
  table.step(victim, { kind: 'LinkUp', peer: late })
  for (const { message } of lost) table.hand(late, victim, message)
  table.releaseReductions()
  table.deal()
  const outcome = table.effects('Committed', victim).at(-1)!.outcome
  const index = plan.contributors.findIndex(({ peer }) => peer === late)
  for (const { message } of lost) {
    const { bitmap, weight } = outcome.parts[message.part]!
    expect((bitmap[0]! >> index) & 1).toBe(0)
    expect(weight).toBe(2)
  }
  expect(table.committed(late, 1)).toEqual(table.committed(victim, 1))
})

test('newcomers that go on saying where they stand do not excuse a leader under which nothing moves', () => {
  const { table, base } = founded()
  for (const peer of ['a', 'b', 'c']) table.update(peer, base, 1)
  const isStuck = isKind('Part', 'Reassign')
  table.deal(isStuck)
  const [leader, next] = leaderOrder(base.root, base.electorate) as [string, string]
  for (let seconds = 0; seconds < 60 && onTable(table, 'Prepare').length === 0; seconds += 3) {
    const newcomer = `newcomer-${seconds}`
    for (const to of ['a', 'b', 'c']) {
      table.step(to, { kind: 'LinkUp', peer: newcomer })
      const { root } = base
      table.hand(newcomer, to, { ...sentIn(table, 1, 'Hold'), root, incarnation: 9, isVoter: false })
    }
    table.deal(isStuck)
    table.wait(3_000)
  }
  expect(table.nowMs).toBeGreaterThan(20_000)
  expect(onTable(table, 'Prepare')[0]).toMatchObject({ from: next, message: { ballot: { attempt: 1 } } })
  expect(leader).not.toBe(next)
})

test('a leader that missed a mean which others have asks one of them for it, when nothing has come for five seconds', () => {
  const { table, base } = founded(['a', 'b', 'c', 'd'])
  for (const peer of base.electorate) table.update(peer, base, 3)
  const [leader] = leaderOrder(base.root, base.electorate) as [string]
  table.deal(isKind('Part'))
  const reducers = sentIn(table, 1, 'Plan').plan.shares.map((share) => share.reducers[0]!)
  const reducer = reducers.find((peer) => peer !== leader)!
  table.deal(({ from, to, message }) => message.kind === 'Result' && from === reducer && to === leader)
  expect(table.cards.length).toBeGreaterThan(0)
  table.cards.length = 0 // lost with a link that broke
  table.wait(4_999)
  expect(onTable(table, 'Want')).toEqual([])
  for (let turn = 0; turn < 2 && onTable(table, 'Want').length === 0; turn++) table.wait(2_000)
  const wants = onTable(table, 'Want')
  expect(wants.map(({ from }) => from)).toContain(leader)
  expect(wants.map(({ to }) => to)).not.toContain(reducer) // that it has not finished would seem to say that it is lost
  table.deal()
  for (const peer of base.electorate) expect(table.committed(peer, 1), peer).toEqual(Array(6).fill(3))
  expect(table.effects('Send').some(({ message }) => message.kind === 'Reassign')).toBe(false)
})
