/**
 * What peers of one run say to each other while they average.
 *
 *     Hold  Commit  Follow  Leave        where a peer stands, and what it gives          (to every linked peer)
 *     Plan  Part  Result  Reassign       who sums what, the update's parts, their means  (data)
 *     Prepare  Promise  Seal  Accepted   one Paxos decision on the list of result digests; Outbid tells a leader
 *     Outbid                             that its ballot is too low
 *     Want  Lacking  WantSeal  SealValue pulling what a peer missed, by digest
 *
 * On the wire a message is a dag-cbor map with a numeric `kind`; digests are 32 raw bytes there and lower-case hex in
 * memory. `decode` checks every field against the limits; whether a message makes sense now is the machine's question.
 */

import { decode as decodeCbor, encode as encodeCbor } from '@ipld/dag-cbor'
import { SwarmError } from '../core/errors.ts'
import {
  attemptsMax,
  frameBytesMax,
  partElements,
  partsMax,
  planPeersMax,
  roundsMax,
  roundWeightMax,
  rowPeersMax,
} from '../core/limits.ts'
import type { Ballot } from './electorate.ts'
import { Fields, fromHex } from './fields.ts'
import { decodePlan, encodePlan, type Plan } from './plan.ts'
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
  /** Euclidean norm of the whole update. */
  norm: number
  /** Bytes per second that this peer can send; 0: it cannot reduce; undefined: unknown. */
  bandwidth: number | undefined
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

/** Bytes of one encoded part: f32, the widest codec. */
const partBytesMax = 4 * partElements

/** Bytes per second: 1 Tbit/s, more than any link. */
const bandwidthMax = 1.25e11

interface Row<M extends Message> {
  /** Written on the wire; never reused. */
  tag: number
  encode(message: M): Record<string, unknown>
  decode(fields: Fields): Omit<M, 'kind'>
}

const rows: { [Kind in Message['kind']]: Row<Extract<Message, { kind: Kind }>> } = {
  Hold: {
    tag: 1,
    encode: ({ round, root, incarnation, isVoter }) => ({ round, root, incarnation, voter: isVoter }),
    decode: (f) => decodeStanding(f),
  },
  Commit: {
    tag: 2,
    encode: (m) => ({
      round: m.round,
      root: m.root,
      incarnation: m.incarnation,
      voter: m.isVoter,
      weight: m.weight,
      norm: m.norm,
      bandwidth: m.bandwidth ?? null,
      digests: fromHex(...m.digests),
    }),
    decode: (f) => ({
      ...decodeStanding(f),
      weight: f.quantity('weight', roundWeightMax),
      norm: f.quantity('norm', Number.MAX_VALUE),
      bandwidth: f.has('bandwidth') ? f.quantity('bandwidth', bandwidthMax) : undefined,
      digests: f.digests('digests', partsMax),
    }),
  },
  Follow: { tag: 3, encode: () => ({}), decode: () => ({}) },
  Leave: { tag: 4, encode: () => ({}), decode: () => ({}) },
  Plan: {
    tag: 5,
    encode: (m) => ({ round: m.round, ballot: encodeBallot(m.ballot), plan: encodePlan(m.plan) }),
    decode: (f) => ({ round: decodeRound(f), ballot: decodeBallot(f), plan: decodePlan(f.nested('plan')) }),
  },
  Part: {
    tag: 6,
    encode: (m) => ({ round: m.round, plan: fromHex(m.planId), part: m.part, bytes: m.bytes }),
    decode: (f) => ({ ...decodePartName(f), bytes: f.bytes('bytes', partBytesMax) }),
  },
  Result: {
    tag: 7,
    encode: (m) => ({
      round: m.round,
      plan: fromHex(m.planId),
      part: m.part,
      bitmap: m.bitmap,
      weight: m.weight,
      bytes: m.bytes,
    }),
    decode: (f) => ({
      ...decodePartName(f),
      bitmap: f.bytes('bitmap', rowPeersMax / 8),
      weight: f.quantity('weight', roundWeightMax * rowPeersMax),
      bytes: f.bytes('bytes', partBytesMax),
    }),
  },
  Reassign: {
    tag: 8,
    encode: (m) => ({
      round: m.round,
      ballot: encodeBallot(m.ballot),
      plan: fromHex(m.planId),
      parts: m.parts,
      reducer: m.reducer,
    }),
    decode: (f) => ({
      round: decodeRound(f),
      ballot: decodeBallot(f),
      planId: f.digest('plan'),
      parts: f.integers('parts', partsMax, partsMax - 1),
      reducer: f.id('reducer'),
    }),
  },
  Prepare: {
    tag: 9,
    encode: (m) => ({ round: m.round, ballot: encodeBallot(m.ballot) }),
    decode: (f) => ({ round: decodeRound(f), ballot: decodeBallot(f) }),
  },
  Promise: {
    tag: 10,
    encode: (m) => ({
      round: m.round,
      ballot: encodeBallot(m.ballot),
      accepted: m.accepted ? { ballot: encodeBallot(m.accepted.ballot), ...encodeSealed(m.accepted) } : null,
      plan: m.plan ? { ballot: encodeBallot(m.plan.ballot), plan: encodePlan(m.plan.plan) } : null,
      have: m.have,
    }),
    decode: (f) => ({
      round: decodeRound(f),
      ballot: decodeBallot(f),
      accepted: f.has('accepted')
        ? { ballot: decodeBallot(f.nested('accepted')), ...decodeSealed(f.nested('accepted')) }
        : undefined,
      plan: f.has('plan')
        ? { ballot: decodeBallot(f.nested('plan')), plan: decodePlan(f.nested('plan').nested('plan')) }
        : undefined,
      have: f.bytes('have', partsMax / 8),
    }),
  },
  Outbid: {
    tag: 17,
    encode: (m) => ({ round: m.round, ballot: encodeBallot(m.ballot) }),
    decode: (f) => ({ round: decodeRound(f), ballot: decodeBallot(f) }),
  },
  Seal: {
    tag: 11,
    encode: (m) => ({
      round: m.round,
      ballot: encodeBallot(m.ballot),
      plan: fromHex(m.planId),
      ...encodeSeal(m),
    }),
    decode: (f) => ({
      round: decodeRound(f),
      ballot: decodeBallot(f),
      planId: f.digest('plan'),
      ...decodeSeal(f),
    }),
  },
  Accepted: {
    tag: 12,
    encode: (m) => ({ round: m.round, ballot: encodeBallot(m.ballot), seal: fromHex(m.sealDigest) }),
    decode: (f) => ({ round: decodeRound(f), ballot: decodeBallot(f), sealDigest: f.digest('seal') }),
  },
  Want: {
    tag: 13,
    encode: (m) => ({
      round: m.round,
      plan: fromHex(m.planId),
      part: m.part,
      digest: m.digest === undefined ? null : fromHex(m.digest),
    }),
    decode: (f) => ({ ...decodePartName(f), digest: f.has('digest') ? f.digest('digest') : undefined }),
  },
  Lacking: {
    tag: 14,
    encode: (m) => ({ round: m.round, plan: fromHex(m.planId), part: m.part }),
    decode: (f) => decodePartName(f),
  },
  WantSeal: {
    tag: 15,
    encode: (m) => ({ round: m.round, seal: fromHex(m.sealDigest) }),
    decode: (f) => ({ round: decodeRound(f), sealDigest: f.digest('seal') }),
  },
  SealValue: {
    tag: 16,
    encode: (m) => ({ round: m.round, ...encodeSealed(m) }),
    decode: (f) => ({ round: decodeRound(f), ...decodeSealed(f) }),
  },
}

const kindOfTag = new Map(
  Object.entries(rows).map(([kind, row]) => [row.tag, kind as Message['kind']] as const),
)

/** The bytes of `message`, without a frame. */
export function encodeMessage<M extends Message>(message: M): Uint8Array {
  const row = rows[message.kind] as unknown as Row<M>
  return encodeCbor({ kind: row.tag, ...row.encode(message) })
}

/**
 * The message in `bytes`. Byte fields are views into `bytes`.
 * @throws {SwarmError} MESSAGE_TOO_LARGE, or MESSAGE_INVALID naming the field that is wrong.
 */
export function decodeMessage(bytes: Uint8Array): Message {
  if (bytes.byteLength > frameBytesMax)
    throw new SwarmError(
      'MESSAGE_TOO_LARGE',
      `a message of ${bytes.byteLength} bytes passes ${frameBytesMax}`,
    )
  const fields = new Fields(decodeMap(bytes))
  const tag = fields.integer('kind', 255)
  const kind = kindOfTag.get(tag)
  if (kind === undefined) throw new SwarmError('MESSAGE_INVALID', `unknown message tag ${tag}`)
  return { kind, ...rows[kind].decode(fields) } as Message
}

function decodeMap(bytes: Uint8Array): unknown {
  try {
    return decodeCbor(bytes)
  } catch (cause) {
    throw new SwarmError('MESSAGE_INVALID', 'the message is not dag-cbor', { cause })
  }
}

function decodeStanding(f: Fields): Omit<Hold, 'kind'> {
  return {
    round: decodeRound(f),
    root: f.id('root'),
    incarnation: f.integer('incarnation', 2 ** 32),
    isVoter: f.boolean('voter'),
  }
}

function decodePartName(f: Fields): { round: number; planId: string; part: number } {
  return { round: decodeRound(f), planId: f.digest('plan'), part: f.integer('part', partsMax - 1) }
}

function encodeSealed({ plan, ...seal }: { plan: Plan } & SealContent): Record<string, unknown> {
  return { plan: encodePlan(plan), ...encodeSeal(seal) }
}

function decodeSealed(f: Fields): { plan: Plan } & SealContent {
  return { plan: decodePlan(f.nested('plan')), ...decodeSeal(f) }
}

function encodeSeal({ digests, members }: SealContent): Record<string, unknown> {
  return { digests: fromHex(...digests), members }
}

function decodeSeal(f: Fields): SealContent {
  return { digests: f.digests('digests', partsMax), members: f.ids('members', planPeersMax) }
}

function encodeBallot({ attempt, leader }: Ballot): Record<string, unknown> {
  return { attempt, leader }
}

function decodeBallot(f: Fields): Ballot {
  const ballot = f.nested('ballot')
  return { attempt: ballot.integer('attempt', attemptsMax), leader: ballot.id('leader') }
}

function decodeRound(f: Fields): number {
  return f.integer('round', roundsMax)
}
