/**
 * What goes into the allreduce machine and what comes out. The executor (the service, or the simulator) turns sockets,
 * timers and finished work into events, and carries the effects out in the order given.
 */

import type { RoundBase } from '../plan/base.ts'
import type { Pace } from '../plan/pace.ts'
import type { Partition, Parts } from '../plan/parts.ts'
import type { Contributor, Plan, Reach } from '../plan/plan.ts'
import type { Pledge } from './pledge.ts'
import type { ReductionInput, RowReduction } from './reduction.ts'
import type { Message } from './vocabulary.ts'

/** Bounds of every wait, in milliseconds. */
export interface Timing {
  /**
   * Least and most that a round waits for slow peers once two thirds have committed; between them, half the time those
   * took.
   */
  graceMsMin: number
  graceMsMax: number
  /**
   * A round whose electorate cannot come to two thirds goes on without the slow after this, or four times the first
   * commit.
   */
  patienceMs: number
  /** A contributor from which a reducer hears nothing for this long is left out. */
  partMs: number
  /**
   * A reducer that delivers nothing for this long is replaced; more than `partMs`, or its waiting would look like
   * death.
   */
  reduceMs: number
  /** A leader under which nothing moves for this long is replaced; more than `reduceMs`. */
  leaderMs: number
  /** A peer that was asked for a result and sends nothing for this long: another is asked. */
  wantMs: number
  /** Without a quorum for this long, the peers that are left become the electorate. Infinity: never. */
  electorateExpiryMs: number
  /** A peer that stays behind the others' round, or alone with its root, for this long must fetch their state. */
  behindMs: number
  /** A link that was asked for comes up within this, or its peer counts as gone; less than `leaderMs`. */
  linkMs: number
}

/** For links of the internet; a reducer's and a leader's share in `partMs` scale with the plan, see `partTimeoutMs`. */
export const defaultTiming: Timing = {
  graceMsMin: 3_000,
  graceMsMax: 30_000,
  patienceMs: 60_000,
  partMs: 5_000,
  reduceMs: 10_000,
  leaderMs: 20_000,
  wantMs: 2_000,
  electorateExpiryMs: 60_000,
  behindMs: 10_000,
  linkMs: 3_000,
}

export interface MachineInit {
  self: string
  /** CID of the job's manifest, as text: a word that is signed for one run is none in another. */
  job: string
  /** A random 32-bit number, drawn anew for each machine: names this life of the peer. */
  incarnation: number
  partition: Partition
  /** Most bytes of the encoding of `elements` values. */
  encodedBytes(elements: number): number
  /** Updates that the run's first round needs at least, >= 1. */
  peersMin: number
  timing: Timing
  /**
   * The round that this life of the peer begins with as one of its members, having promised nothing in it: how
   * simulations start with a grid. Default: none but the founding round, as no other peer could know.
   */
  firstRound?: number | undefined
  /** What a former life of this peer pledged last; absent: it was no member, or its memory is lost. */
  recalled?: Pledge | undefined
  /** This peer's signature under `bytes`. */
  sign(bytes: Uint8Array): Uint8Array
  /** True when `signature` is that of `peer` under `bytes`; all peers of a run must come to the same answer. */
  verify(peer: string, bytes: Uint8Array, signature: Uint8Array): boolean
  /** SHA-256 as lower-case hex; used on plans, commits and seals only, never on parts. */
  hash(bytes: Uint8Array): string
}

/** What the executor found out about a Part, a Sum or a Result before handing it over. */
export interface Inspection {
  /** SHA-256 of a part's bytes, or of a result's identity (`resultIdentity`), as hex; empty for a sum. */
  digest: string
  /** The bytes are an encoding of the part's length (of a sum: its f32) whose values are finite and within bounds. */
  isDecodable: boolean
}

export type Event =
  /** This peer holds the round's state and may give an update later. */
  | { kind: 'StateReady'; base: RoundBase }
  /** The update of this peer: its encoded parts (asked for until the round is over) and their digests. `weight` > 0. */
  | {
      kind: 'UpdateReady'
      base: RoundBase
      weight: number
      pace?: Pace | undefined
      parts: Parts
      digests: readonly string[]
    }
  /** This peer holds the state and gives no update this round. */
  | { kind: 'JoinAsReceiver'; base: RoundBase }
  /** This peer has no state: it wants the results of every round until one of the events above. */
  | { kind: 'FollowStarted' }
  /** This peer goes: once the round has what it owes, or nobody stays, and after `withinMs` at the latest. */
  | { kind: 'LeaveRequested'; withinMs: number }
  | { kind: 'LinkUp'; peer: string }
  | { kind: 'LinkDown'; peer: string }
  /** Nothing comes over the link, which is up: its peer is waited for no more, until it is heard again. */
  | { kind: 'LinkSilent'; peer: string }
  | { kind: 'LinkHeard'; peer: string }
  /** `inspection`: for Part, Sum and Result, and only those. */
  | { kind: 'MessageReceived'; from: string; message: Message; inspection?: Inspection }
  /** Answer to a Reduce effect: the sum over this peer's row, or the inputs that are no part. */
  | { kind: 'PartReduced'; round: number; planId: string; part: number; outcome: RowReduction }
  /** Answer to a Finish effect: the encoded mean, and the digest of its identity. */
  | { kind: 'PartFinished'; round: number; planId: string; part: number; bytes: Uint8Array; digest: string }
  /** What this peer says of its own link from now on. */
  | ({ kind: 'ReachMeasured' } & Reach)
  /** All peers of the run that are known, without this one. Until the first, links are nobody's business here. */
  | { kind: 'PeersKnown'; peers: readonly string[] }
  | { kind: 'TimerFired' }

/** One part of a committed round. */
export interface CommittedPart {
  /** The encoded mean: the same bytes on every peer. */
  bytes: Uint8Array
  /** Which of the plan's contributors are in it. */
  bitmap: Uint8Array
  weight: number
}

/** The outcome of a round: bit-identical on every peer that commits it. */
export interface CommittedRound {
  round: number
  root: string
  planId: string
  sealDigest: string
  /** Bit `i` of every bitmap is its contributor number `i`. */
  plan: Plan
  parts: readonly CommittedPart[]
  /** The peers that hold the next state by agreement, sorted. */
  electorate: readonly string[]
  /** Contributors that are in every part, and the sum of their weights. */
  complete: readonly Contributor[]
  totalWeight: number
}

/** What a peer that still trains needs to know of the others. */
export interface Outlook {
  /** This peer and those that it has a link to, sorted. */
  live: readonly string[]
  /** Those of them that have given an update to the round of this peer's state. */
  committed: readonly string[]
}

export type RoundPhase = 'gathering' | 'reducing' | 'sealing'

export type Effect =
  /** Over the link; when there is none, the message is dropped. */
  | { kind: 'Send'; to: string; message: Message }
  /**
   * Put `pledge` in the place of the last one, so that it survives a power cut; undefined: remove that. No later effect
   * is carried out before it is done. Who has no disk passes over it: its next life recalls nothing.
   */
  | { kind: 'Pledged'; pledge: Pledge | undefined }
  /** Fire `TimerFired` once, `delayMs` from now; replaces the timer set before. */
  | { kind: 'SetTimer'; delayMs: number }
  /** Run `sumRow` on `inputs`, in this order. */
  | { kind: 'Reduce'; round: number; planId: string; part: number; inputs: readonly ReductionInput[] }
  /** Run `finishPart` on `sums`, in this order, and hash what comes out with `planId`, `part`, `weight`, `bitmap`. */
  | {
      kind: 'Finish'
      round: number
      planId: string
      part: number
      sums: readonly Float32Array[]
      bitmap: Uint8Array
      weight: number
    }
  /** Be linked with these peers and no others. */
  | { kind: 'Link'; peers: readonly string[] }
  | { kind: 'Committed'; outcome: CommittedRound }
  /** The others went on without this peer: it must fetch state `round` named `root` from `peers`. */
  | { kind: 'Behind'; round: number; root: string; peers: readonly string[] }
  /** A message was dropped, and why. */
  | { kind: 'Refused'; peer: string; reason: string }
  /**
   * Too few of those whose votes decide are here: `missing` of `deciding` are away, and some of them are waited for.
   * After `expiresInMs` those that are here go on alone.
   */
  | {
      kind: 'QuorumLost'
      round: number
      live: readonly string[]
      deciding: readonly string[]
      /** Of `deciding`, without those for whom a deputy votes that is here. */
      missing: readonly string[]
      /** Infinity: they wait until enough are back. */
      expiresInMs: number
    }
  | { kind: 'Progress'; round: number; phase: RoundPhase }
  /** This peer has gone: nothing is sent after it. */
  | { kind: 'Left' }
