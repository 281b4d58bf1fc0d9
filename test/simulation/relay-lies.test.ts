/**
 * A peer of a grid that lies about what others said, to the rows that hear it by way of that peer: each lie is refused
 * with the liar's name, and every round ends for everybody as if it had been silent.
 */

import { sha256 } from '@noble/hashes/sha2.js'
import { expect, test } from 'vitest'
import { Grid } from '../../protocols/allreduce/plan/grid.ts'
import { type SealContent, sealIdentity } from '../../protocols/allreduce/plan/seal.ts'
import type { Message, Relay, Relayed, Seal } from '../../protocols/allreduce/round/vocabulary.ts'
import { toHex } from '../../protocols/core/fields.ts'
import type { AllreduceSwarm, SwarmOptions } from '../../simulator/allreduce-swarm.ts'
import { sixRows } from './six-rows.ts'
import { violationOf } from './violation.ts'

/** What a liar says in the place of `relay`; `earlier`: what it was to pass on before, newest first. */
type Lie = (relay: Relay, earlier: readonly Relay[]) => Relayed

const lies: Readonly<Record<string, Lie>> = {
  'a seal that says somebody is gone who is here, and the votes for it': ({ round, message }, earlier) => {
    if (message.kind === 'Seal') return withoutPeer(message)
    const seal = earlier.find((relay) => relay.round === round && relay.message.kind === 'Seal')
    if (message.kind !== 'Votes' || seal === undefined) return message
    return { ...message, sealDigest: digestOf(withoutPeer(seal.message as Seal)) }
  },
  'votes of all the council before anybody has voted': ({ round, message }) => {
    if (message.kind !== 'Seal') return message
    const votes = councilOf(message).map((voter) => ({ voter, signature: new Uint8Array(64).fill(7) }))
    return { kind: 'Votes', round, ballot: message.ballot, sealDigest: digestOf(message), votes }
  },
  'a seal and a decision of an earlier round': ({ round, message }, earlier) => {
    const old = earlier.find((relay) => relay.round < round && relay.message.kind === message.kind)
    return old === undefined || message.kind === 'Plan' ? message : { ...old.message, round }
  },
}

function withoutPeer(seal: Seal): Seal {
  return { ...seal, absent: ['peer-0'] }
}

function digestOf(seal: SealContent & { planId: string }): string {
  return toHex(sha256(sealIdentity(seal.planId, seal)))
}

let swarm: AllreduceSwarm

function councilOf({ round }: Seal): readonly string[] {
  const base = swarm.live().find((peer) => peer.base?.round === round)!.base!
  return new Grid(base.root, base.electorate).council
}

/** 36 peers, past the founding. In each round the first that passes on a seal tells `lieOf(round)` from then on. */
function swarmOfLiars(lieOf: (round: number) => string, overrides: Partial<SwarmOptions> = {}) {
  const liars = new Map<number, string>()
  const told: string[] = []
  const earlier: Relay[] = []
  const alterSent = (id: string, _to: string, said: Message): Message => {
    if (said.kind !== 'Relay') return said
    if (said.message.kind === 'Seal' && !liars.has(said.round)) liars.set(said.round, id)
    if (liars.get(said.round) !== id) return said
    const message = lies[lieOf(said.round)]!(said, earlier)
    earlier.unshift(said)
    if (message !== said.message) told.push(lieOf(said.round))
    return { ...said, message }
  }
  swarm = sixRows(1, { skewOf: undefined, alterSent, ...overrides })
  return { liars, told }
}

/** Everybody commits `rounds` more. */
function run(rounds: number): void {
  const target = swarm.round + rounds
  swarm.runUntil(() => swarm.live().every(({ base }) => (base?.round ?? 0) >= target), 'rounds', 240_000)
}

test('whatever a relay says that nobody signed is refused by its name, and every round ends', () => {
  const names = Object.keys(lies)
  const { liars, told } = swarmOfLiars((round) => names[round % names.length]!)
  run(5)
  for (const name of names) expect(told, name).toContain(name)
  const refused = swarm.live().flatMap(({ seen }) => seen.refused)
  expect(refused.length).toBeGreaterThan(5)
  for (const refusal of refused) {
    const round = Number(/Relay of round (\d+)/.exec(refusal)?.[1])
    expect(refusal).toMatch(new RegExp(`^${liars.get(round)}: .*(did not sign it|does not decide here)$`))
  }
  expect(swarm.outcomes.map(({ electorate }) => electorate.length)).toEqual(swarm.outcomes.map(() => 36))
})

test('planted bug: peers that believe a relay commit what nobody decided, and are caught', () => {
  const [seal] = Object.keys(lies)
  const violation = violationOf(() => {
    swarmOfLiars(() => seal!, { believesRelays: true })
    run(5)
  })
  expect(violation).toContain('next electorate')
})
