/**
 * Machines around a table: every message is a card on it, and the test says which card is handed over, altered or kept.
 * Nothing moves by itself, so a test can stop a round at any message.
 */

import { sha256 } from '@noble/hashes/sha2.js'
import { inspect } from '../../../protocols/allreduce/inspection.ts'
import { AllreduceMachine } from '../../../protocols/allreduce/machine.ts'
import { encodeParts, partLength, resultIdentity } from '../../../protocols/allreduce/plan/parts.ts'
import { defaultTiming, type Effect, type Event } from '../../../protocols/allreduce/round/events.ts'
import type { Pledge } from '../../../protocols/allreduce/round/pledge.ts'
import { finishPart, sumRow } from '../../../protocols/allreduce/round/reduction.ts'
import type { Message } from '../../../protocols/allreduce/round/vocabulary.ts'
import { toHex } from '../../../protocols/core/fields.ts'
import { codecFor } from '../../../protocols/wire/codecs/index.ts'
import { isSignatureOf, signatureOf } from '../../../simulator/signatures.ts'

const f32 = codecFor('f32')

export const partition = { elements: 6, partElements: 2 }

export const hash = (bytes: Uint8Array): string => toHex(sha256(bytes))

export interface Card {
  from: string
  to: string
  message: Message
}

type Of<Kind extends Effect['kind']> = Extract<Effect, { kind: Kind }>

export class Table {
  readonly machines = new Map<string, AllreduceMachine>()
  readonly cards: Card[] = []
  readonly #effects: { peer: string; effect: Effect }[] = []
  readonly #held: (() => void)[] = []
  /** After which those that are left go on without a quorum; by default they never do. */
  readonly #electorateExpiryMs: number
  nowMs = 0
  /** Reductions take their time: they end with `releaseReductions`. */
  holdReductions = false

  constructor(
    peers: readonly string[],
    peersMin = peers.length,
    electorateExpiryMs = Number.POSITIVE_INFINITY,
  ) {
    this.#electorateExpiryMs = electorateExpiryMs
    for (const self of peers) this.seat(self, peersMin)
    for (const a of peers) for (const b of peers) if (a !== b) this.step(a, { kind: 'LinkUp', peer: b })
  }

  /**
   * A new machine for `self`: a restarted peer has another `incarnation`, and its former life's pledge if its disk is
   * there.
   */
  seat(self: string, peersMin: number, incarnation = 1, recalled?: Pledge): void {
    this.machines.set(
      self,
      new AllreduceMachine({
        self,
        incarnation,
        partition,
        encodedBytes: f32.encodedBytes,
        peersMin,
        timing: { ...defaultTiming, electorateExpiryMs: this.#electorateExpiryMs },
        recalled,
        job: 'job',
        sign: (bytes) => signatureOf(self, bytes),
        verify: isSignatureOf,
        hash,
      }),
    )
  }

  step(peer: string, event: Event): void {
    for (const effect of this.machines.get(peer)!.step(event, this.nowMs)) {
      this.#effects.push({ peer, effect })
      if (effect.kind === 'Send') this.cards.push({ from: peer, to: effect.to, message: effect.message })
      if (effect.kind === 'Reduce') this.#held.push(() => this.#reduce(peer, effect))
      if (effect.kind === 'Finish') this.#finish(peer, effect)
    }
    if (!this.holdReductions) this.releaseReductions()
  }

  releaseReductions(): void {
    for (const reduce of this.#held.splice(0)) reduce()
  }

  /** Gives an update whose elements all are `value`. */
  update(
    peer: string,
    base: { round: number; root: string; electorate: string[] },
    value: number,
    weight = 1,
  ): void {
    const parts = encodeParts(new Float32Array(partition.elements).fill(value), partition, f32)
    const digests = parts.map(hash)
    this.step(peer, { kind: 'UpdateReady', base, weight, parts, digests })
  }

  /** Hands `message` to `to` as if `from` had sent it. */
  hand(from: string, to: string, message: Message): void {
    const inspection = inspect(message, { partition, codec: f32, hash })
    this.step(to, { kind: 'MessageReceived', from, message, inspection })
  }

  /** Hands over all cards, and those that follow, apart from what `isKept` keeps on the table. */
  deal(isKept: (card: Card) => boolean = () => false): void {
    for (let index = 0; index < this.cards.length; ) {
      const card = this.cards[index]!
      if (isKept(card)) index++
      else {
        this.cards.splice(index, 1)
        if (this.machines.has(card.to)) this.hand(card.from, card.to, card.message)
      }
    }
  }

  /** Time passes for everyone. */
  wait(ms: number): void {
    this.nowMs += ms
    for (const peer of this.machines.keys()) this.step(peer, { kind: 'TimerFired' })
  }

  /** `peer` is gone: its cards stay, its machine does not. */
  remove(peer: string): void {
    this.machines.delete(peer)
    for (const other of this.machines.keys()) this.step(other, { kind: 'LinkDown', peer })
  }

  /** `peer` is started again, with what it pledged last, and linked with everybody; its machine must be gone. */
  restart(peer: string, incarnation: number): void {
    const others = [...this.machines.keys()]
    this.seat(peer, 1, incarnation, this.effects('Pledged', peer).at(-1)?.pledge)
    for (const other of others) {
      this.step(peer, { kind: 'LinkUp', peer: other })
      this.step(other, { kind: 'LinkUp', peer })
    }
  }

  /** What `peer` (or everyone) brought about of one kind, in order. */
  effects<Kind extends Effect['kind']>(kind: Kind, peer?: string): Of<Kind>[] {
    return this.#effects
      .filter((entry) => entry.effect.kind === kind && (peer === undefined || entry.peer === peer))
      .map(({ effect }) => effect as Of<Kind>)
  }

  /** Everything that `peer` brought about, in order. */
  all(peer: string): Effect[] {
    return this.#effects.filter((entry) => entry.peer === peer).map(({ effect }) => effect)
  }

  /** Every element of what `peer` committed in `round`; undefined when it did not. */
  committed(peer: string, round: number): number[] | undefined {
    const outcome = this.effects('Committed', peer).find(({ outcome }) => outcome.round === round)?.outcome
    return outcome?.parts.flatMap(({ bytes }, part) => {
      const values = new Float32Array(partLength(partition, part))
      f32.decode(bytes, values)
      return [...values]
    })
  }

  #reduce(peer: string, { round, planId, part, inputs }: Of<'Reduce'>): void {
    const outcome = sumRow(f32, partLength(partition, part), inputs)
    this.step(peer, { kind: 'PartReduced', round, planId, part, outcome })
  }

  #finish(peer: string, { round, planId, part, sums, bitmap, weight }: Of<'Finish'>): void {
    const bytes = finishPart(f32, sums, weight)
    const digest = hash(resultIdentity({ planId, part, weight, bitmap, bytes }))
    this.step(peer, { kind: 'PartFinished', round, planId, part, bytes, digest })
  }
}

/** Round 0 of a new run. */
export const genesis = { round: 0, root: 'genesis', electorate: [] as string[] }

/** Three peers that have committed round 0 and hold state 1; their leader order is `order`. */
export function founded(
  peers: string[] = ['a', 'b', 'c'],
  electorateExpiryMs?: number,
): {
  table: Table
  base: { round: number; root: string; electorate: string[] }
} {
  const table = new Table(peers, peers.length, electorateExpiryMs)
  for (const peer of peers) table.update(peer, genesis, 1)
  table.deal()
  const base = { round: 1, root: 'first', electorate: [...peers] }
  for (const peer of peers) table.step(peer, { kind: 'StateReady', base })
  table.deal()
  return { table, base }
}

/** Cards of these kinds, for `deal`. */
export const isKind =
  (...kinds: Message['kind'][]) =>
  ({ message }: Card) =>
    kinds.includes(message.kind)

/** The messages of one kind that lie on the table. */
export function onTable<Kind extends Message['kind']>(
  table: Table,
  kind: Kind,
): (Card & { message: Extract<Message, { kind: Kind }> })[] {
  return table.cards.filter(isKind(kind)) as (Card & { message: Extract<Message, { kind: Kind }> })[]
}

/** What was sent first of one kind in a round. */
export function sentIn<Kind extends Message['kind']>(
  table: Table,
  round: number,
  kind: Kind,
): Extract<Message, { kind: Kind }> {
  const messages = table.effects('Send').map(({ message }) => message)
  return messages.find(
    (message) => message.kind === kind && 'round' in message && message.round === round,
  ) as Extract<Message, { kind: Kind }>
}
