/** What a run of the allreduce is opened with, what it tells, and what its rounds come to. */

import type { CodecName } from '../wire/codecs/codec.ts'
import type { RoundBase } from './plan/base.ts'
import type { Pace } from './plan/pace.ts'
import type { RoundPhase, Timing } from './round/events.ts'

/** One for each run: a peer that is not in the run does not speak it. */
export const allreduceProtocol = (job: string): string => `/starling/allreduce/5/${job}`

export interface AllreduceRunInit {
  /** CID of the job's manifest, as text. */
  job: string
  /** Elements of an update, > 0. */
  parameterCount: number
  codec: CodecName
  /** Of codec `topk`: values that this peer sends of each 4,096; the codec's own default otherwise. */
  topkKept?: number | undefined
  /** Updates that the run's first round needs at least, >= 1. */
  peersMin: number
  /** Others cannot open connections to this peer, so it reduces nothing. Default false. */
  isClientOnly?: boolean
  /**
   * Where this peer is on the map of round trips, asked before each update: whole milliseconds of one way. Default:
   * unknown.
   */
  place?: () => readonly [number, number] | undefined
  /** Where this peer's votes outlive its process. Absent: after a restart it remembers none (`round/pledges.ts`). */
  pledges?: PledgeStore | undefined
  timing?: Timing
  onEvent?: (event: AllreduceEvent) => void
}

/** What a peer pledged in one run, on a disk. */
export interface PledgeStore {
  /** What was written last, in a former life; undefined: nothing, or it is lost. */
  readonly recalled: Uint8Array | undefined
  /**
   * Resolves when `pieces`, one after another, have taken the place of what was there, and would survive a power cut;
   * undefined: when it is gone. @throws {SwarmError} STORAGE_FAILED.
   */
  write(pieces: readonly Uint8Array[] | undefined): Promise<void>
}

export type AllreduceEvent =
  /** `offered`: this peer's update is encoded, and named to the others. */
  | { kind: 'phase'; round: number; phase: RoundPhase | 'offered' }
  /** Of those that decide so many are away that some of `missing` are waited for: for ever, or `expiresInMs`. */
  | {
      kind: 'quorum-lost'
      round: number
      live: readonly string[]
      deciding: readonly string[]
      missing: readonly string[]
      expiresInMs: number
    }
  /** What this peer pledged in a former life cannot be read: it votes again once a plan names its new life. */
  | { kind: 'pledge-lost'; reason: string }
  /** A message was dropped. */
  | { kind: 'refused'; peer: string; reason: string }

export type RoundOutcome =
  | RoundCommitted
  | { kind: 'behind'; round: number; root: string; peers: readonly string[] }

/** Elements `start` up to, but not including, `end` of a vector. */
export interface Slice {
  start: number
  end: number
}

/** What a peer gives to one round. */
export interface Offer extends RoundBase {
  /** f32[parameterCount]: given away, nobody changes it any more. */
  update: Float32Array
  /** Samples behind it, a whole number > 0. */
  weight: number
  /** Absent before it is measured. */
  pace?: Pace | undefined
  /** A coarser codec than the job's for this update; absent: the job's. */
  codec?: CodecName | undefined
  /** This peer's bytes are scarce: it is planned as a reducer of nothing. Absent: it is not. */
  reducesNothing?: boolean | undefined
  /**
   * f32[parameterCount], or absent: filled with `update` less what its encoding holds, before the call returns its
   * promise. May be `update` itself.
   */
  residual?: Float32Array | undefined
  /** f32[parameterCount], or absent: becomes the average when the round is committed. May be `update` itself. */
  averageInto?: Float32Array | undefined
}

export interface RoundCommitted {
  kind: 'committed'
  round: number
  /** Root of the state that the round started from: the average is of use to that state only. */
  root: string
  /** f32[parameterCount]: the weighted mean. The receiver's; `averageInto` if that was given. */
  average: Float32Array
  /** The peers that hold the next state by agreement, sorted. */
  electorate: readonly string[]
  /** Those whose update is in it whole. */
  contributors: readonly Contribution[]
  /** Slices of this peer's own update that are not in the mean: a reducer went on without them. */
  omitted: readonly Slice[]
  /** Sum of their weights: the samples behind the average. */
  totalWeight: number
}

/** One peer's part in an average, in numbers that all peers of its round agree on. */
export interface Contribution {
  peer: string
  /** Samples behind its update. */
  weight: number
  pace?: Pace | undefined
}
