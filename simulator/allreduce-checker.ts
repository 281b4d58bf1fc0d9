/**
 * What must hold whatever happens to the network: the safety of an averaged round.
 *
 *     agreement    all peers that commit a round from the same state commit the same bytes and the same next electorate,
 *                  and no two states of one round are ever committed (unless forks are allowed)
 *     the mean     every part is the weighted mean, to the bit, of the updates that its bitmap names, summed in the plan's order
 *     weights      a part's weight is the sum of the weights with which those updates were given
 *     once         no update is in a part twice, and none comes from another round or another state
 *
 * The oracle does its own arithmetic; it shares no code with the reducers.
 */

import { sha256 } from '@noble/hashes/sha2.js'
import type { RoundBase } from '../protocols/allreduce/plan/base.ts'
import { type Partition, partLength } from '../protocols/allreduce/plan/parts.ts'
import { rowIn } from '../protocols/allreduce/plan/plan.ts'
import type { CommittedRound } from '../protocols/allreduce/round/events.ts'
import { toHex } from '../protocols/core/fields.ts'
import type { Codec } from '../protocols/wire/codecs/codec.ts'

/** An update as its peer gave it. */
export interface GivenUpdate {
  peer: string
  base: RoundBase
  weight: number
  /** Encoded parts. */
  parts: readonly Uint8Array[]
  /** Digest of the commit: tells two lives of one peer apart. */
  commit: string
  /** The life that gave it. */
  incarnation: number
}

export class SafetyViolation extends Error {
  override readonly name = 'SafetyViolation'
}

export class AllreduceChecker {
  readonly #codec: Codec
  readonly #partition: Partition
  readonly #mayFork: boolean
  /** By the digest of their commit. */
  readonly #given = new Map<string, GivenUpdate[]>()
  /** The first commit of each state, with the names of the peers that made the same. */
  readonly #rounds = new Map<string, { outcome: CommittedRound; peers: Set<string> }>()
  /** Root that each round was committed from. */
  readonly #roots = new Map<number, string>()

  constructor(init: { codec: Codec; partition: Partition; mayFork?: boolean }) {
    this.#codec = init.codec
    this.#partition = init.partition
    this.#mayFork = init.mayFork ?? false
  }

  /** Rounds that were committed by anyone. */
  get roundCount(): number {
    return this.#rounds.size
  }

  /** How many peers committed round `round`, over all its states. */
  committersOf(round: number): number {
    return [...this.#rounds.values()]
      .filter(({ outcome }) => outcome.round === round)
      .reduce((sum, { peers }) => sum + peers.size, 0)
  }

  /** The life of the peer that made `commit`. */
  incarnationOf(commit: string): number | undefined {
    return this.#given.get(commit)?.[0]?.incarnation
  }

  /** A peer is about to give an update. */
  gave(update: GivenUpdate): void {
    this.#given.set(update.commit, [...(this.#given.get(update.commit) ?? []), update])
  }

  /** A peer committed. @throws {SafetyViolation} */
  committed(peer: string, outcome: CommittedRound): void {
    const root = this.#roots.get(outcome.round) ?? outcome.root
    this.#roots.set(outcome.round, root)
    if (root !== outcome.root && !this.#mayFork)
      violated(peer, outcome, `from root ${outcome.root}, others from ${root}`)
    const key = `${outcome.round} ${outcome.root}`
    const known = this.#rounds.get(key)
    if (known === undefined) {
      this.#checkOutcome(peer, outcome)
      this.#rounds.set(key, { outcome, peers: new Set([peer]) })
      return
    }
    known.peers.add(peer)
    const fault = this.#mayFork ? undefined : difference(known.outcome, outcome)
    if (fault !== undefined) violated(peer, outcome, fault)
    if (this.#mayFork) this.#checkOutcome(peer, outcome)
  }

  #checkOutcome(peer: string, outcome: CommittedRound): void {
    const names = outcome.plan.contributors.map((contributor) => contributor.peer)
    if (new Set(names).size !== names.length) violated(peer, outcome, 'a contributor counts twice')
    for (const part of outcome.parts.keys()) this.#checkPart(peer, outcome, part)
  }

  #checkPart(peer: string, outcome: CommittedRound, part: number): void {
    const { bytes, bitmap, weight } = outcome.parts[part]!
    const included = outcome.plan.contributors.filter(
      (_, index) => ((bitmap[index >> 3] ?? 0) >> (index & 7)) & 1,
    )
    if (included.length === 0) violated(peer, outcome, `part ${part} has no contributors`)
    const updates = included.map((contributor) => {
      return { ...this.#updateOf(peer, outcome, contributor), row: rowIn(outcome.plan, contributor) }
    })
    const weights = updates.reduce((sum, update) => sum + update.weight, 0)
    if (weight !== weights) violated(peer, outcome, `part ${part} weighs ${weight}, its updates ${weights}`)
    const expected = this.#mean(updates, part, weights)
    if (!isEqual(bytes, expected)) violated(peer, outcome, `part ${part} is not the weighted mean`)
  }

  #updateOf(
    peer: string,
    outcome: CommittedRound,
    contributor: { peer: string; weight: number; commit: string },
  ): GivenUpdate {
    const found = this.#given
      .get(contributor.commit)
      ?.find(
        (given) =>
          given.peer === contributor.peer &&
          given.weight === contributor.weight &&
          given.base.round === outcome.round &&
          given.base.root === outcome.root,
      )
    if (found === undefined) violated(peer, outcome, `${contributor.peer} gave no such update`)
    return found!
  }

  /** Σ over the rows of Σ over a row's updates, each in the order of seats, by weight. */
  #mean(updates: readonly (GivenUpdate & { row: number })[], part: number, weights: number): Uint8Array {
    const length = partLength(this.#partition, part)
    const values = updates.map(({ parts }) => {
      const decoded = new Float32Array(length)
      this.#codec.decode(parts[part]!, decoded)
      return decoded
    })
    const mean = Float32Array.from({ length }, (_, i) => {
      const rows = new Map<number, number>()
      values.forEach((update, k) => {
        const { row, weight } = updates[k]!
        rows.set(row, Math.fround((rows.get(row) ?? 0) + weight * update[i]!))
      })
      return [...rows.values()].reduce((total, sum) => Math.fround(total + sum)) / weights
    })
    return this.#codec.encode(mean)
  }
}

function difference(a: CommittedRound, b: CommittedRound): string | undefined {
  if (a.electorate.join() !== b.electorate.join())
    return `next electorate ${b.electorate}, others ${a.electorate}`
  const part = a.parts.findIndex(({ bytes }, index) => !isEqual(bytes, b.parts[index]!.bytes))
  if (part >= 0)
    return `part ${part} differs: ${digest(b.parts[part]!.bytes)}, others ${digest(a.parts[part]!.bytes)}`
  return a.sealDigest === b.sealDigest ? undefined : 'another seal'
}

function digest(bytes: Uint8Array): string {
  return toHex(sha256(bytes)).slice(0, 8)
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index])
}

function violated(peer: string, { round }: CommittedRound, what: string): never {
  throw new SafetyViolation(`${peer} committed round ${round}: ${what}`)
}
