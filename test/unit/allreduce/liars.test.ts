/** The machine, card by card: what a liar gets, and that nothing anybody says does harm. */

import { describe, expect, test } from 'vitest'
import { leaderOrder } from '../../../protocols/allreduce/plan/electorate.ts'
import type { Message } from '../../../protocols/allreduce/round/vocabulary.ts'
import { codecFor } from '../../../protocols/wire/codecs/index.ts'
import { founded, isKind, onTable, Table } from './table.ts'

const f32 = codecFor('f32')

const unmeasured = { bandwidth: undefined, place: undefined }

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
    ['too many bytes', (part) => ({ ...part, bytes: new Uint8Array(64) }), 'too long'],
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
  const plan = { round: 1, root: 'first', seats: 3, council: ['a', 'b', 'c'], receivers: [], followers: [] }
  const ownPlan = {
    ...plan,
    contributors: [{ peer: 'x', seat: 3, weight: 1, commit: planId, ...unmeasured }],
    shares: [{ reducers: ['x'], firstPart: 0, partCount: 3 }],
  }
  const standing = { round: 1, root: 'first', incarnation: 1, isVoter: true, ...unmeasured }
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
      { kind: 'Commit', ...standing, weight: 1, digests: [] },
      'every part',
    ],
    [
      'a seal that nobody voted for',
      { kind: 'SealValue', round: 1, plan: ownPlan, digests: [planId, planId, planId], absent: [] },
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
    table.hand(leader, other, { ...itsPlan, plan: { ...itsPlan.plan, followers: [{ peer: 'zz', seat: 3 }] } })
    expect(table.effects('Refused', other).at(-1)?.reason).toContain('two plans in one ballot')
    table.hand(leader, other, { ...itsSeal, absent: [leader] })
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
    const hold = { round: 1, root: 'first', incarnation: 1, isVoter: true, ...unmeasured }
    table.hand('stranger', 'a', { kind: 'Hold', ...hold })
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
    (table) => table.step('a', { kind: 'LeaveRequested', withinMs: 0 }),
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
