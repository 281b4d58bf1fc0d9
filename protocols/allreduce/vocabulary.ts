/**
 * What peers of one run say to each other while they average: the words, without their bytes (`messages.ts`).
 *
 *     Hold  Commit  Follow  Leave        where a peer stands, and what it gives          (to every linked peer)
 *     Plan  Part  Result  Reassign       who sums what, the update's parts, their means  (data)
 *     Prepare  Promise  Seal  Accepted   one Paxos decision on the list of result digests; Outbid tells a leader
 *     Outbid                             that its ballot is too low
 *     Want  Lacking  WantSeal  SealValue pulling what a peer missed, by digest
 *
 * Digests are lower-case hex of SHA-256.
 */

import type { Ballot } from './electorate.ts'
import type { Pace } from './pace.ts'
import type { Plan } from './plan.ts'
import type { SealContent } from './seal.ts'

/** "I hold this state; an update may follow." */
export interface Hold {
  kind: 'Hold'
  round: number
  root: string
  /** Names this life of the peer: another number means that it restarted and forgot what it voted. */
  incarnation: number
  /** False for a member that restarted: it does not vote before a plan names this life of it. */
  isVoter: boolean
}

/** "This is my update", before any of it is sent. Weight 0: "I hold this state and give no update this round." */
export interface Commit {
  kind: 'Commit'
  round: number
  root: string
  incarnation: number
  isVoter: boolean
  /** Samples behind the update; 0 without one. */
  weight: number
  /** Bytes per second that this peer can send; 0: it cannot reduce; undefined: unknown. */
  bandwidth: number | undefined
  /** Undefined before the peer has trained. */
  pace?: Pace | undefined
  /** SHA-256 of each encoded part; empty with weight 0. */
  digests: readonly string[]
}

/** "I have no state yet: send me the results of every round." */
export interface Follow {
  kind: 'Follow'
}

/** "I am going": the same as a broken link, without waiting for it. */
export interface Leave {
  kind: 'Leave'
}

/** The leader's frozen plan, or a later leader's word that it continues with it. */
export interface PlanFrozen {
  kind: 'Plan'
  round: number
  ballot: Ballot
  plan: Plan
}

/** One encoded part of the sender's update, to the reducer of that part. */
export interface Part {
  kind: 'Part'
  round: number
  planId: string
  part: number
  bytes: Uint8Array
}

/** The weighted mean of one part. */
export interface Result {
  kind: 'Result'
  round: number
  planId: string
  part: number
  /** Bit `i`, least significant first: the plan's contributor `i` is in the mean. */
  bitmap: Uint8Array
  /** Sum of the weights of the contributors in `bitmap`. */
  weight: number
  /** The mean, encoded once by its reducer. */
  bytes: Uint8Array
}

/** The leader gives parts without a result to another reducer. */
export interface Reassign {
  kind: 'Reassign'
  round: number
  ballot: Ballot
  planId: string
  parts: readonly number[]
  reducer: string
}

/** Paxos phase 1, request. */
export interface Prepare {
  kind: 'Prepare'
  round: number
  ballot: Ballot
}

/** Paxos phase 1, answer: what this voter accepted last, the plan it knows and the parts it has results of. */
export interface PromiseMade {
  kind: 'Promise'
  round: number
  ballot: Ballot
  accepted: ({ ballot: Ballot; plan: Plan } & SealContent) | undefined
  plan: { ballot: Ballot; plan: Plan } | undefined
  /** Bit `p`: a result of part `p` of `plan` is here. */
  have: Uint8Array
}

/** Answer to a leader whose ballot is too low: this voter promised a higher one. */
export interface Outbid {
  kind: 'Outbid'
  round: number
  ballot: Ballot
}

/** Paxos phase 2, request: the results that count, and who goes on with them. */
export interface Seal extends SealContent {
  kind: 'Seal'
  round: number
  ballot: Ballot
  planId: string
}

/** Paxos phase 2, answer, told to everyone: "I accepted this seal and hold all its bytes." */
export interface Accepted {
  kind: 'Accepted'
  round: number
  ballot: Ballot
  sealDigest: string
}

/** "Send me a result of this part": the one with `digest`, or any when that is undefined. */
export interface Want {
  kind: 'Want'
  round: number
  planId: string
  part: number
  digest: string | undefined
}

/** Answer to a `Want` that cannot be served: ask somebody else. */
export interface Lacking {
  kind: 'Lacking'
  round: number
  planId: string
  part: number
}

/** "Which seal has this digest?" */
export interface WantSeal {
  kind: 'WantSeal'
  round: number
  sealDigest: string
}

/** A seal's content, which its digest vouches for. */
export interface SealValue extends SealContent {
  kind: 'SealValue'
  round: number
  plan: Plan
}

export type Message =
  | Hold
  | Commit
  | Follow
  | Leave
  | PlanFrozen
  | Part
  | Result
  | Reassign
  | Prepare
  | PromiseMade
  | Outbid
  | Seal
  | Accepted
  | Want
  | Lacking
  | WantSeal
  | SealValue

/** A message about one round. */
export type RoundMessage = Extract<Message, { round: number }>
