/** The machine, card by card: what a round is, what a vote means, and what a liar gets. */

import { describe, expect, test } from 'vitest'
import { leaderOrder } from '../../../protocols/allreduce/electorate.ts'
import type { Message } from '../../../protocols/allreduce/vocabulary.ts'
import { f32 } from '../../../protocols/wire/codecs/f32.ts'
import { type Card, founded, genesis, hash, Table } from './table.ts'

const isKind =
  (...kinds: Message['kind'][]) =>
  ({ message }: Card) =>
    kinds.includes(message.kind)

/** The messages of one kind that lie on the table. */
function onTable<Kind extends Message['kind']>(
  table: Table,
  kind: Kind,
): (Card & { message: Extract<Message, { kind: Kind }> })[] {
  return table.cards.filter(isKind(kind)) as (Card & { message: Extract<Message, { kind: Kind }> })[]
}

/** What was sent first of one kind in a round. */
function sentIn<Kind extends Message['kind']>(
  table: Table,
  round: number,
  kind: Kind,
): Extract<Message, { kind: Kind }> {
  const messages = table.effects('Send').map(({ message }) => message)
  return messages.find(
    (message) => message.kind === kind && 'round' in message && message.round === round,
  ) as Extract<Message, { kind: Kind }>
}

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
    const firsts = inputs.map(({ bytes }) => new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true))
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
    members: seals.at(-1)!.members,
  })
  for (const peer of [second, third]) expect(table.committed(peer, 1)).toEqual(Array(6).fill(1))
})

test('a reducer that dies costs nothing but its unfinished part, and its own update counts where it was delivered', () => {
  const { table, base } = founded(['a', 'b', 'c', 'd'])
  for (const [index, peer] of ['a', 'b', 'c', 'd'].entries()) table.update(peer, base, index)
  const leader = leaderOrder(base.root, base.electorate)[0]!
  table.deal(isKind('Part'))
  const { plan } = sentIn(table, 1, 'Plan')
  const victim = plan.shares.map(({ reducer }) => reducer).find((peer) => peer !== leader)!
  const share = plan.shares.find(({ reducer }) => reducer === victim)!
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

test('a follower learns every round without having a state', () => {
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
  expect(table.committed('f', 1)).toEqual(Array(6).fill(4))
  expect(table.effects('Committed', 'a').at(-1)!.outcome.electorate).toEqual(['a', 'b', 'c'])
})

test('a round that was decided before this peer came to it is answered at once', () => {
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

test('results of the last two rounds are served, older ones are not', () => {
  const { table, base } = founded()
  let next = base
  for (const root of ['second', 'third', 'fourth']) {
    for (const peer of ['a', 'b', 'c']) table.update(peer, next, 1)
    table.deal()
    next = { round: next.round + 1, root, electorate: ['a', 'b', 'c'] }
    for (const peer of ['a', 'b', 'c']) table.step(peer, { kind: 'StateReady', base: next })
    table.deal()
  }
  const planOf = (round: number) =>
    table.effects('Committed', 'a').find(({ outcome }) => outcome.round === round)!.outcome.planId
  const answers = [1, 2, 3].map((round) => {
    table.hand('b', 'a', { kind: 'Want', round, planId: planOf(round), part: 0, digest: undefined })
    return table.cards.splice(0).map(({ message }) => message.kind)
  })
  expect(answers).toEqual([[], ['Result'], ['Result']])
  table.hand('b', 'a', { kind: 'Want', round: 3, planId: hash(new Uint8Array()), part: 0, digest: undefined })
  expect(table.cards.map(({ message }) => message.kind)).toEqual(['Lacking'])
})

test('a peer that left is not waited for', () => {
  const { table, base } = founded()
  for (const peer of ['a', 'b']) table.update(peer, base, 1)
  table.step('c', { kind: 'LeaveRequested' })
  table.deal()
  expect(table.committed('a', 1)).toEqual(Array(6).fill(1))
  expect(table.effects('Committed', 'a').at(-1)!.outcome.electorate).toEqual(['a', 'b'])
})

test('a part that comes while its mean is being computed is not counted', () => {
  const { table, base } = founded()
  for (const peer of ['a', 'b', 'c']) table.update(peer, base, 1)
  table.deal(isKind('Part'))
  const { plan } = sentIn(table, 1, 'Plan')
  const [victim, late] = plan.shares.map(({ reducer }) => reducer) as [string, string]
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

describe('liars', () => {
  /** Everything is committed to and planned; parts lie on the table. `liar` contributes, `victim` reduces. */
  function inReduction() {
    const { table, base } = founded()
    for (const peer of ['a', 'b', 'c']) table.update(peer, base, 1)
    table.deal(isKind('Part'))
    const card = onTable(table, 'Part')[0]!
    return { table, liar: card.from, victim: card.to, honest: card.message }
  }

  type Part = Extract<Message, { kind: 'Part' }>
  const lies: [string, (honest: Part) => Message, string][] = [
    [
      'other values than committed to',
      (part) => ({ ...part, bytes: f32.encode(Float32Array.of(9, 9)) }),
      'not what was committed to',
    ],
    ['NaN', (part) => ({ ...part, bytes: new Uint8Array(8).fill(255) }), 'not what was committed to'],
    ['a wrong length', (part) => ({ ...part, bytes: new Uint8Array(12) }), 'wrong length'],
    ['a part that there is not', (part) => ({ ...part, part: 77 }), 'part 77 of 3'],
  ]

  test.each(lies)('a part with %s is refused, and the round ends without it', (_, lie, reason) => {
    const { table, liar, victim, honest } = inReduction()
    table.cards.splice(
      table.cards.findIndex(({ message }) => message === honest),
      1,
    )
    table.hand(liar, victim, lie(honest))
    expect(table.effects('Refused', victim).at(-1)).toMatchObject({
      peer: liar,
      reason: expect.stringContaining(reason),
    })
    table.deal()
    table.wait(20_000) // a part that was never sent is given up after its time
    table.deal()
    const values = table.committed(victim, 1)
    expect(values).toEqual(Array(6).fill(1))
  })

  test('a replayed part of an earlier round changes nothing', () => {
    const { table, base } = founded()
    const old = table.effects('Send').find(({ message }) => message.kind === 'Part')!
    for (const peer of ['a', 'b', 'c']) table.update(peer, base, 2)
    table.deal(isKind('Part'))
    table.hand('a', old.to, old.message)
    table.hand('a', old.to, { ...old.message, round: 1 } as Message)
    table.deal()
    expect(table.committed('b', 1)).toEqual(Array(6).fill(2))
  })

  const ballot = { attempt: 0, leader: 'a' }
  const planId = '00'.repeat(32)
  const plan = { round: 1, root: 'first', electorate: ['a', 'b', 'c'], receivers: [], followers: [] }
  const ownPlan = {
    ...plan,
    contributors: [{ peer: 'x', weight: 1, commit: planId }],
    shares: [{ reducer: 'x', firstPart: 0, partCount: 3 }],
  }
  const standing = { round: 1, root: 'first', incarnation: 1, isVoter: true }
  const refusals: [string, Message, string][] = [
    [
      'a plan by a peer that does not lead',
      { kind: 'Plan', round: 1, ballot: { attempt: 0, leader: 'x' }, plan: ownPlan },
      'wrong leader',
    ],
    ['a plan in the name of another', { kind: 'Plan', round: 1, ballot, plan: ownPlan }, 'another leader'],
    [
      'a plan with no shares',
      { kind: 'Plan', round: 1, ballot: { attempt: 0, leader: 'x' }, plan: { ...ownPlan, shares: [] } },
      'shares of 0 parts for 3',
    ],
    [
      'a Prepare out of turn',
      { kind: 'Prepare', round: 1, ballot: { attempt: 0, leader: 'x' } },
      'not led by x',
    ],
    ['a Prepare in the name of another', { kind: 'Prepare', round: 1, ballot }, 'another leader'],
    [
      'a commit that does not name every part',
      { kind: 'Commit', ...standing, weight: 1, norm: 0, bandwidth: undefined, digests: [] },
      'every part',
    ],
    [
      'a seal that nobody voted for',
      { kind: 'SealValue', round: 1, plan: ownPlan, digests: [planId, planId, planId], members: ['x'] },
      'nobody voted for',
    ],
  ]

  test.each(refusals)('%s is refused', (_, message, reason) => {
    const { table } = founded()
    table.step('b', { kind: 'LinkUp', peer: 'x' })
    table.hand('x', 'b', message)
    expect(table.effects('Refused', 'b').at(-1)).toMatchObject({
      peer: 'x',
      reason: expect.stringContaining(reason),
    })
  })

  test('a second, different commit of the same life is refused', () => {
    const { table, base } = founded()
    table.update('a', base, 1)
    const first = onTable(table, 'Commit').find(({ to }) => to === 'b')!.message
    table.deal()
    table.hand('a', 'b', { ...first, weight: 1000 })
    expect(table.effects('Refused', 'b').at(-1)?.reason).toContain('a second, different commit')
  })

  test('a leader that sends two plans or two seals in one ballot is refused the second', () => {
    const { table, base } = founded()
    for (const peer of ['a', 'b', 'c']) table.update(peer, base, 1)
    const leader = leaderOrder(base.root, base.electorate)[0]!
    const other = base.electorate.find((peer) => peer !== leader)!
    table.deal(isKind('Accepted'))
    const sent = table.effects('Send', leader).map(({ message }) => message)
    const itsPlan = sent.find((message) => message.kind === 'Plan' && message.round === 1) as Extract<
      Message,
      { kind: 'Plan' }
    >
    const itsSeal = sent.find((message) => message.kind === 'Seal' && message.round === 1) as Extract<
      Message,
      { kind: 'Seal' }
    >
    table.hand(leader, other, { ...itsPlan, plan: { ...itsPlan.plan, followers: ['zz'] } })
    expect(table.effects('Refused', other).at(-1)?.reason).toContain('two plans in one ballot')
    table.hand(leader, other, { ...itsSeal, members: [leader] })
    expect(table.effects('Refused', other).at(-1)?.reason).toContain('two seals in one ballot')
  })

  test('a result that claims a wrong weight is refused, one from a peer that does not reduce is ignored', () => {
    const { table, base } = founded()
    for (const peer of ['a', 'b', 'c']) table.update(peer, base, 1)
    table.deal(isKind('Result'))
    const { from, to, message } = onTable(table, 'Result')[0]!
    table.hand(from, to, { ...message, weight: message.weight + 1 })
    expect(table.effects('Refused', to).at(-1)?.reason).toContain('claims a wrong weight')
    const third = ['a', 'b', 'c'].find((peer) => peer !== from && peer !== to)!
    const forged = { ...message, bytes: f32.encode(new Float32Array(2).fill(7)) }
    table.hand(third, to, forged)
    table.deal()
    expect(table.committed(to, 1)).toEqual(Array(6).fill(1))
  })

  test('a message from a peer without a link is refused', () => {
    const { table } = founded()
    table.hand('stranger', 'a', { kind: 'Hold', round: 1, root: 'first', incarnation: 1, isVoter: true })
    expect(table.effects('Refused', 'a').at(-1)).toEqual({
      kind: 'Refused',
      peer: 'stranger',
      reason: 'a message without a link',
    })
  })
})

test('every message of a whole run can be heard in every state, from anyone, without harm', () => {
  const { table: source, base } = founded()
  for (const peer of ['a', 'b', 'c']) source.update(peer, base, 1)
  source.deal()
  const heard = source.effects('Send').map(({ message }) => message)
  const states: ((table: Table) => void)[] = [
    () => {},
    (table) => table.step('a', { kind: 'FollowStarted' }),
    (table) => table.step('a', { kind: 'StateReady', base }),
    (table) => table.update('a', base, 1),
    (table) => table.step('a', { kind: 'JoinAsReceiver', base }),
    (table) => table.step('a', { kind: 'LeaveRequested' }),
  ]
  for (const enter of states) {
    for (const sender of ['b', 'c']) {
      const table = new Table(['a', 'b', 'c'])
      enter(table)
      for (const message of heard) table.hand(sender, 'a', message)
      table.wait(100_000)
      expect(table.committed('a', 1), 'one voice is no quorum').toBeUndefined()
    }
  }
})
