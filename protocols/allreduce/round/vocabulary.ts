/**
 * What peers of one run say to each other while they average: the words, without their bytes (`messages.ts`).
 *
 *     Hold  Commit  Follow               where a peer stands (to every linked peer), and what it gives (to its row)
 *     Leaving  Leave                     that it goes, and who votes for it then
 *     Roster  Plan  Reassign             who takes part: what a row tells the leader, what the leader tells everyone
 *     Part  Sum  Result                  the update's parts, their sums over a row, their means over all rows
 *     Prepare  Promise  Seal  Accepted   one Paxos decision on the list of result digests; Outbid tells a leader
 *     Outbid  Votes                      that its ballot is too low; Votes tell it to those outside of the council
 *     Want  Lacking  WantSeal  SealValue pulling what a peer missed, by digest
 *     Relay  Deputed                     another peer's words: passed on along a row or a column, or said by its deputy
 *
 * Digests are lower-case hex of SHA-256. What others pass on is signed by whoever said it (`signing.ts`).
 */

import type { Ballot } from '../plan/electorate.ts'
import type { Pace } from '../plan/pace.ts'
import type { Plan, PlanLists, Reach } from '../plan/plan.ts'
import type { SealContent } from '../plan/seal.ts'
import type { Mandate } from './mandates.ts'

/** A word that reaches some by way of others. Where there is one row, nobody passes it on, and it is not signed. */
interface Signable {
  /** Its speaker's, over `wordIdentity`. */
  signature?: Uint8Array | undefined
}

/** "I hold this state; an update may follow." */
export interface Hold extends Reach {
  kind: 'Hold'
  round: number
  root: string
  /** Names this life of the peer: another number means that it restarted and forgot what it voted. */
  incarnation: number
  /** False for a member that restarted: it does not vote before a plan names this life of it. */
  isVoter: boolean
}

/** "This is my update", before any of it is sent. Weight 0: "I hold this state and give no update this round." */
export interface Commit extends Reach {
  kind: 'Commit'
  round: number
  root: string
  incarnation: number
  isVoter: boolean
  /** Samples behind the update; 0 without one. */
  weight: number
  /** Undefined before the peer has trained. */
  pace?: Pace | undefined
  /** SHA-256 of each encoded part; empty with weight 0. */
  digests: readonly string[]
}

/** "I have no state yet: send me the results of every round." */
export interface Follow {
  kind: 'Follow'
}

/** "I am going after this round: what I gave to it counts, but do not wait for me in the next." */
export interface Leaving {
  kind: 'Leaving'
}

/** "I am gone": the same as a broken link, without waiting for it; and whose my vote is now. */
export interface Leave {
  kind: 'Leave'
  mandate?: Mandate | undefined
}

/**
 * What a row gives to the round, as its reporter saw it when the row was ready: to the leader, who sits in another row.
 */
export interface Roster extends PlanLists, Signable {
  kind: 'Roster'
  round: number
  root: string
  row: number
  leader: string
}

/** The leader's frozen plan, or a later leader's word that it continues with it. */
export interface PlanFrozen extends Signable {
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

/** One part summed over a row, to the part's finisher. */
export interface Sum {
  kind: 'Sum'
  round: number
  planId: string
  part: number
  /** Which of the plan's contributors, all of one row, are in it. */
  bitmap: Uint8Array
  /** Sum of their weights. */
  weight: number
  /** Σ wᵢ · xᵢ, f32 little-endian. */
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
  /** The mean, encoded once by its finisher. */
  bytes: Uint8Array
}

/**
 * The leader gives parts without a result to another peer, to sum in its row if nobody else there does, and to finish.
 */
export interface Reassign extends Signable {
  kind: 'Reassign'
  round: number
  ballot: Ballot
  planId: string
  parts: readonly number[]
  reducer: string
}

/** Paxos phase 1, request. */
export interface Prepare extends Signable {
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
export interface Seal extends SealContent, Signable {
  kind: 'Seal'
  round: number
  ballot: Ballot
  planId: string
}

/** Paxos phase 2, answer, told to the whole council: "I accepted this seal and hold all its bytes." */
export interface Accepted extends Signable {
  kind: 'Accepted'
  round: number
  ballot: Ballot
  sealDigest: string
}

/**
 * "These accepted that seal in that ballot, so it is decided": what a councillor tells those that hear no votes, with
 * the proof.
 */
export interface Votes {
  kind: 'Votes'
  round: number
  ballot: Ballot
  sealDigest: string
  /** No more than decide. */
  votes: readonly Vote[]
}

/** A councillor's signature under its `Accepted`. */
export interface Vote {
  voter: string
  signature: Uint8Array
}

/** "Send me a result of this part": the one with `digest`, or any when that is undefined. */
export interface Want {
  kind: 'Want'
  round: number
  planId: string
  part: number
  digest: string | undefined
}

/**
 * Answer to a `Want` that cannot be served: ask somebody else. Unasked, to the leader: this part's finisher is gone.
 */
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

/** What `origin` said, from a neighbour of both. Only along the grid, and only what everyone may know. */
export interface Relay {
  kind: 'Relay'
  round: number
  origin: string
  message: Relayed
}

/** What is passed on: a leader's words and the council's decision to everyone, rosters to the leader. */
export type Relayed = PlanFrozen | Reassign | Prepare | Seal | Votes | Roster

/** What a peer signs: what is passed on, and the votes that prove a decision. */
export type Word = Exclude<Relayed, Votes> | Accepted

const relayedKinds: ReadonlySet<Message['kind']> = new Set<Relayed['kind']>([
  'Plan',
  'Reassign',
  'Prepare',
  'Seal',
  'Votes',
  'Roster',
])

/** True for messages that are passed on. */
export function isRelayed(message: Pick<Message, 'kind'>): message is Relayed {
  return relayedKinds.has(message.kind)
}

/** What `member`, which left, would say: from its deputy. */
export interface Deputed {
  kind: 'Deputed'
  round: number
  member: string
  message: PromiseMade | Accepted
}

export type Message =
  | Hold
  | Commit
  | Follow
  | Leaving
  | Leave
  | Roster
  | PlanFrozen
  | Part
  | Sum
  | Result
  | Reassign
  | Prepare
  | PromiseMade
  | Outbid
  | Seal
  | Accepted
  | Votes
  | Want
  | Lacking
  | WantSeal
  | SealValue
  | Relay
  | Deputed

/** A message about one round. */
export type RoundMessage = Extract<Message, { round: number }>

/** A leader's plan, as it says it and as others pass it on. */
export function planMessage(
  round: number,
  { ballot, plan, signature }: Omit<PlanFrozen, 'kind' | 'round'>,
): PlanFrozen {
  return { kind: 'Plan', round, ballot, plan, signature }
}

/** A leader's seal, as it says it and as others pass it on. */
export function sealMessage(round: number, seal: Omit<Seal, 'kind' | 'round'>): Seal {
  const { ballot, planId, digests, absent, signature } = seal
  return { kind: 'Seal', round, ballot, planId, digests, absent, signature }
}

/** The messages that carry values. */
export function isData(message: Message): message is Part | Sum | Result {
  return message.kind === 'Part' || message.kind === 'Sum' || message.kind === 'Result'
}
