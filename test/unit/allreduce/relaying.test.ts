/**
 * One peer of a grid of 36: which words by way of others it believes, whom it names when it does not, and what it
 * passes on.
 */

import { expect, test } from 'vitest'
import { AllreduceMachine } from '../../../protocols/allreduce/machine.ts'
import { Grid } from '../../../protocols/allreduce/plan/grid.ts'
import { defaultTiming, type Effect, type Event } from '../../../protocols/allreduce/round/events.ts'
import { wordIdentity } from '../../../protocols/allreduce/round/signing.ts'
import type {
  Accepted,
  Message,
  Prepare,
  Relayed,
  Vote,
  Word,
} from '../../../protocols/allreduce/round/vocabulary.ts'
import { forgedWordsMax } from '../../../protocols/core/limits.ts'
import { isSignatureOf, signatureOf } from '../../../simulator/signatures.ts'
import { hash, partition } from './table.ts'

const round = 5
const electorate = Array.from({ length: 36 }, (_, i) => `p${String(i).padStart(2, '0')}`)
const grid = new Grid('root', electorate)
const { council } = grid
const leader = council[0]!
/** Decides with others, and sits in another row than the leader. */
const self = council.find((peer) => peer !== leader && !grid.areRowMates(peer, leader))!
/** Two that pass words on to `self`. */
const [relay, mate] = grid.rowMatesOf(self).filter((peer) => peer !== self) as [string, string]

function peer() {
  const machine = new AllreduceMachine({
    self,
    job: 'job',
    incarnation: 1,
    partition,
    encodedBytes: (elements) => 4 * elements,
    peersMin: 1,
    timing: defaultTiming,
    firstRound: round,
    sign: (bytes) => signatureOf(self, bytes),
    verify: isSignatureOf,
    hash,
  })
  const take = (event: Event): Effect[] => machine.step(event, 1)
  for (const other of electorate) if (other !== self) take({ kind: 'LinkUp', peer: other })
  take({ kind: 'StateReady', base: { round, root: 'root', electorate } })
  const hear = (from: string, message: Message) => take({ kind: 'MessageReceived', from, message })
  return { machine, hear }
}

function signed<W extends Word>(speaker: string, word: W, job = 'job'): W {
  return { ...word, signature: signatureOf(speaker, wordIdentity(job, word, hash)) }
}

const relayOf = (origin: string, message: Relayed): Message => ({ kind: 'Relay', round, origin, message })

/** The leader's second attempt, which asks the council for promises. */
const prepare: Prepare = { kind: 'Prepare', round, ballot: { attempt: council.length, leader } }

const promises = (effects: readonly Effect[]) =>
  effects.filter((effect) => effect.kind === 'Send' && effect.message.kind === 'Promise')

const refusals = (effects: readonly Effect[]) =>
  effects.flatMap((effect) => (effect.kind === 'Refused' ? [`${effect.peer}: ${effect.reason}`] : []))

test('a word that its speaker signed is as good as hearing it', () => {
  const effects = peer().hear(relay, relayOf(leader, signed(leader, prepare)))
  expect(promises(effects)).toMatchObject([{ to: leader, message: { ballot: prepare.ballot } }])
  expect(refusals(effects)).toEqual([])
})

const later = { ...prepare, ballot: { attempt: 2 * council.length, leader } }
test.each<[string, Prepare]>([
  ['changed on its way', { ...later, signature: signed(leader, prepare).signature }],
  ['said in another round', { ...prepare, signature: signed(leader, { ...prepare, round: 4 }).signature }],
  ['said in another run', signed(leader, prepare, 'another job')],
  ['signed by the relay', signed(relay, prepare)],
])('a word that was %s is refused with the name of the relay', (_, forged) => {
  const { hear } = peer()
  const effects = hear(relay, relayOf(leader, forged))
  expect(promises(effects)).toEqual([])
  expect(refusals(effects)).toEqual([`${relay}: Relay of round 5: ${leader} did not sign it`])
  expect(promises(hear(mate, relayOf(leader, signed(leader, prepare))))).toHaveLength(1)
})

test('a word of another round in the cover of this one is refused', () => {
  const old = signed(leader, { ...prepare, round: 4 })
  const effects = peer().hear(relay, relayOf(leader, old))
  expect(refusals(effects)).toEqual([`${relay}: Relay of round 5: a word about another round`])
})

test('a leader that does not sign is not heard over its own link either, for nobody could pass it on', () => {
  const { hear } = peer()
  const effects = hear(leader, prepare)
  expect(promises(effects)).toEqual([])
  expect(refusals(effects)).toEqual([`${leader}: Prepare of round 5: ${leader} did not sign it`])
  expect(promises(hear(leader, signed(leader, prepare)))).toHaveLength(1)
})

test('what is passed on carries its signature, and what nobody signed is not passed on', () => {
  const { hear } = peer()
  const origin = electorate.find((other) => other !== self && grid.areColumnMates(self, other))!
  const said: Prepare = { kind: 'Prepare', round, ballot: { attempt: 0, leader: origin } }
  const passedOn = (message: Message) =>
    hear(origin, message).flatMap((effect) =>
      effect.kind === 'Send' && effect.message.kind === 'Relay' ? [effect] : [],
    )
  expect(passedOn({ ...said, signature: new Uint8Array(64) })).toEqual([])
  const word = signed(origin, said)
  const relays = passedOn(word)
  expect(relays.map(({ to }) => to).sort()).toEqual(grid.rowMatesOf(self).filter((mate) => mate !== self))
  for (const { message } of relays) expect(message).toEqual(relayOf(origin, word))
})

test('a relay of one forged word too many is not listened to for the rest of the round, the others are', () => {
  const { hear } = peer()
  const forged = { ...prepare, signature: new Uint8Array(64) }
  for (let i = 0; i < forgedWordsMax; i++)
    expect(refusals(hear(relay, relayOf(leader, forged)))[0]).toContain('did not sign it')
  const genuine = relayOf(leader, signed(leader, prepare))
  expect(refusals(hear(relay, genuine))[0]).toContain(`${forgedWordsMax} forged words`)
  expect(promises(hear(mate, genuine))).toHaveLength(1)
})

test('votes count with the signatures of councillors alone, all or none of them', () => {
  const { machine, hear } = peer()
  const said = { round, ballot: { attempt: 0, leader }, sealDigest: 'f1'.repeat(32) }
  const voteOf = (voter: string): Vote => ({
    voter,
    signature: signed<Accepted>(voter, { kind: 'Accepted', ...said }).signature!,
  })
  const others = council.filter((voter) => voter !== self)
  const stranger = electorate.find((other) => !council.includes(other))!
  const told = (votes: readonly Vote[]) =>
    hear(relay, relayOf(leader, { kind: 'Votes', ...said, votes })).flatMap((effect) =>
      effect.kind === 'Refused' ? [effect.reason] : [],
    )
  const genuine = others.slice(0, 4).map(voteOf)
  const invented = { voter: others[4]!, signature: voteOf(others[5]!).signature }
  expect(told([...genuine, invented])).toEqual([`Relay of round 5: ${others[4]} did not sign it`])
  expect(told([...genuine, voteOf(stranger)])[0]).toContain(`a vote of ${stranger}`)
  expect(votersKnownTo(machine)).toEqual([])
  expect(told(genuine)).toEqual([])
  expect(votersKnownTo(machine)).toEqual(others.slice(0, 4).sort())

  /** A peer asks those that voted for what they voted on. */
  function votersKnownTo(asking: AllreduceMachine): string[] {
    const asked = new Set<string>()
    for (let nowMs = 10; nowMs < 400_000; nowMs += 2_500)
      for (const effect of asking.step({ kind: 'TimerFired' }, nowMs))
        if (effect.kind === 'Send' && effect.message.kind === 'WantSeal') asked.add(effect.to)
    return [...asked].sort()
  }
})
