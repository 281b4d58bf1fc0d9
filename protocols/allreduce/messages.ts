/**
 * The allreduce's messages as bytes: a dag-cbor map with a numeric `kind`. On the wire digests are 32 raw bytes.
 *
 * `decodeMessage` checks every field against the limits; whether a message makes sense now is the machine's question.
 */

import { decode as decodeCbor, encode as encodeCbor } from '@ipld/dag-cbor'
import { Uint8ArrayList } from 'uint8arraylist'
import { SwarmError } from '../core/errors.ts'
import { Fields, fromHex } from '../core/fields.ts'
import {
  attemptsMax,
  councilPeers,
  frameBytesMax,
  partElements,
  partsMax,
  planPeersMax,
  roundsMax,
  roundWeightMax,
  runPeersMax,
  signatureBytes,
} from '../core/limits.ts'
import { mapInPieces } from '../wire/map-in-pieces.ts'
import type { Frame } from '../wire/outbox.ts'
import type { Ballot } from './plan/electorate.ts'
import { rowCountOf } from './plan/grid.ts'
import { decodePace, encodePace } from './plan/pace.ts'
import type { Plan } from './plan/plan.ts'
import {
  bandwidthMax,
  decodeLists,
  decodePlan,
  encodeLists,
  encodePlan,
  listedMax,
} from './plan/plan-codec.ts'
import type { SealContent } from './plan/seal.ts'
import type { Mandate } from './round/mandates.ts'
import {
  type Accepted,
  type Commit,
  type Hold,
  isData,
  isRelayed,
  type Message,
  type PromiseMade,
  type Relayed,
  type Result,
  type Vote,
  type Votes,
} from './round/vocabulary.ts'

/** Bytes of one encoded part: f32, the widest codec, and the byte that names it. */
export const partBytesMax = 1 + 4 * partElements

/** Bytes of a bitmap over the contributors of a plan. */
export const bitmapBytesMax = listedMax / 8

/** Weight behind one part: all updates of the largest run. */
export const weightMax = roundWeightMax * runPeersMax

interface Row<M extends Message> {
  /** Written on the wire; never reused. */
  tag: number
  encode(message: M): Record<string, unknown>
  decode(fields: Fields): Omit<M, 'kind'>
}

const rows: { [Kind in Message['kind']]: Row<Extract<Message, { kind: Kind }>> } = {
  Hold: {
    tag: 1,
    encode: (m) => encodeStanding(m),
    decode: (f) => decodeStanding(f),
  },
  Commit: {
    tag: 2,
    encode: (m) => ({
      ...encodeStanding(m),
      weight: m.weight,
      ...encodePace(m.pace),
      digests: fromHex(...m.digests),
    }),
    decode: (f) => ({
      ...decodeStanding(f),
      weight: f.quantity('weight', roundWeightMax),
      ...decodePace(f),
      digests: f.digests('digests', partsMax),
    }),
  },
  Follow: { tag: 3, encode: () => ({}), decode: () => ({}) },
  Leaving: { tag: 22, encode: () => ({}), decode: () => ({}) },
  Leave: {
    tag: 4,
    encode: ({ mandate }) => (mandate === undefined ? {} : { mandate: encodeMandate(mandate) }),
    decode: (f) => (f.has('mandate') ? { mandate: decodeMandate(f.nested('mandate')) } : {}),
  },
  Plan: {
    tag: 5,
    encode: (m) => ({
      round: m.round,
      ballot: encodeBallot(m.ballot),
      plan: encodePlan(m.plan),
      ...encodeSignature(m),
    }),
    decode: (f) => ({
      round: decodeRound(f),
      ballot: decodeBallot(f),
      plan: decodePlan(f.nested('plan')),
      ...decodeSignature(f),
    }),
  },
  Part: {
    tag: 6,
    encode: (m) => ({ round: m.round, plan: fromHex(m.planId), part: m.part, bytes: m.bytes }),
    decode: (f) => ({ ...decodePartName(f), bytes: f.bytes('bytes', partBytesMax) }),
  },
  Result: {
    tag: 7,
    encode: encodeSummed,
    decode: decodeSummed,
  },
  Reassign: {
    tag: 8,
    encode: (m) => ({
      round: m.round,
      ballot: encodeBallot(m.ballot),
      plan: fromHex(m.planId),
      parts: m.parts,
      reducer: m.reducer,
      ...encodeSignature(m),
    }),
    decode: (f) => ({
      round: decodeRound(f),
      ballot: decodeBallot(f),
      planId: f.digest('plan'),
      parts: f.integers('parts', partsMax, partsMax - 1),
      reducer: f.id('reducer'),
      ...decodeSignature(f),
    }),
  },
  Prepare: {
    tag: 9,
    encode: (m) => ({ round: m.round, ballot: encodeBallot(m.ballot), ...encodeSignature(m) }),
    decode: (f) => ({ round: decodeRound(f), ballot: decodeBallot(f), ...decodeSignature(f) }),
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
      ...encodeSignature(m),
    }),
    decode: (f) => ({
      round: decodeRound(f),
      ballot: decodeBallot(f),
      planId: f.digest('plan'),
      ...decodeSeal(f),
      ...decodeSignature(f),
    }),
  },
  Accepted: {
    tag: 12,
    encode: (m) => ({ ...encodeVoted(m), ...encodeSignature(m) }),
    decode: (f) => ({ ...decodeVoted(f), ...decodeSignature(f) }),
  },
  Votes: {
    tag: 21,
    encode: (m) => ({
      ...encodeVoted(m),
      voters: m.votes.map(({ voter }) => voter),
      signatures: joined(m.votes.map(({ signature }) => signature)),
    }),
    decode: (f) => ({ ...decodeVoted(f), votes: decodeVotes(f) }),
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
  Roster: {
    tag: 18,
    encode: (m) => ({
      round: m.round,
      root: m.root,
      row: m.row,
      leader: m.leader,
      ...encodeLists(m),
      ...encodeSignature(m),
    }),
    decode: (f) => ({
      round: decodeRound(f),
      root: f.id('root'),
      row: f.integer('row', rowCountOf(runPeersMax) - 1),
      leader: f.id('leader'),
      ...decodeLists(f, planPeersMax),
      ...decodeSignature(f),
    }),
  },
  Sum: {
    tag: 19,
    encode: encodeSummed,
    decode: decodeSummed,
  },
  Relay: {
    tag: 20,
    encode: (m) => ({ round: m.round, origin: m.origin, message: encodeFields(m.message) }),
    decode: (f) => ({
      round: decodeRound(f),
      origin: f.id('origin'),
      message: decodeRelayed(f.nested('message')),
    }),
  },
  Deputed: {
    tag: 23,
    encode: (m) => ({ round: m.round, member: m.member, message: encodeFields(m.message) }),
    decode: (f) => ({
      round: decodeRound(f),
      member: f.id('member'),
      message: decodeDeputed(f.nested('message')),
    }),
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
export function encodeMessage(message: Message): Uint8Array {
  return encodeCbor(encodeFields(message))
}

/**
 * The bytes of `message` as `encodeMessage` gives them, in pieces where it carries values: those are borrowed, and a copy of them
 * would be most of what a round sends.
 */
export function encodeFrame(message: Message): Frame {
  if (!isData(message)) return encodeMessage(message)
  const { bytes, ...others } = encodeFields(message)
  return new Uint8ArrayList(...mapInPieces(others, 'bytes', bytes as Uint8Array))
}

function encodeFields<M extends Message>(message: M): Record<string, unknown> {
  const row = rows[message.kind] as unknown as Row<M>
  return { kind: row.tag, ...row.encode(message) }
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
  return decodeFields(new Fields(decodeMap(bytes)))
}

function decodeFields(fields: Fields): Message {
  const tag = fields.integer('kind', 255)
  const kind = kindOfTag.get(tag)
  if (kind === undefined) throw new SwarmError('MESSAGE_INVALID', `unknown message tag ${tag}`)
  return { kind, ...rows[kind].decode(fields) } as Message
}

/** dag-cbor takes each byte string out of a message with `slice`, which copies; of these bytes that is a view too. */
class SharedBytes extends Uint8Array<ArrayBuffer> {
  static get [Symbol.species](): Uint8ArrayConstructor {
    return Uint8Array
  }

  override slice(start?: number, end?: number): Uint8Array<ArrayBuffer> {
    return this.subarray(start, end)
  }
}

function decodeMap({ buffer, byteOffset, byteLength }: Uint8Array): unknown {
  try {
    return decodeCbor(new SharedBytes(buffer as ArrayBuffer, byteOffset, byteLength))
  } catch (cause) {
    throw new SwarmError('MESSAGE_INVALID', 'the message is not dag-cbor', { cause })
  }
}

/** Looked at before decoding: a Relay in a Relay would nest without end. */
function decodeRelayed(f: Fields): Relayed {
  const kind = kindOfTag.get(f.integer('kind', 255))
  if (kind === undefined || !isRelayed({ kind }))
    throw new SwarmError('MESSAGE_INVALID', `a ${kind} is not passed on`)
  if (kind !== 'Votes' && !f.has('signature'))
    throw new SwarmError('MESSAGE_INVALID', `a ${kind} is not passed on without its signature`)
  return decodeFields(f) as Relayed
}

/** What an acceptor says, and no other kind: a Deputed in a Deputed would nest without end. */
function decodeDeputed(f: Fields): PromiseMade | Accepted {
  const kind = kindOfTag.get(f.integer('kind', 255))
  if (kind !== 'Promise' && kind !== 'Accepted')
    throw new SwarmError('MESSAGE_INVALID', `a ${kind} is not said for another`)
  return decodeFields(f) as PromiseMade | Accepted
}

function encodeSignature({ signature }: { signature?: Uint8Array | undefined }): Record<string, unknown> {
  return signature === undefined ? {} : { signature }
}

function decodeSignature(f: Fields): { signature?: Uint8Array } {
  return f.has('signature') ? { signature: f.bytes('signature', signatureBytes) } : {}
}

function encodeVoted({ round, ballot, sealDigest }: Accepted | Votes): Record<string, unknown> {
  return { round, ballot: encodeBallot(ballot), seal: fromHex(sealDigest) }
}

function decodeVoted(f: Fields): Omit<Accepted, 'kind'> {
  return { round: decodeRound(f), ballot: decodeBallot(f), sealDigest: f.digest('seal') }
}

/** The signatures stand one after the other in one byte string, in the order of the voters. */
function decodeVotes(f: Fields): Vote[] {
  const voters = f.ids('voters', councilPeers)
  const signatures = f.bytes('signatures', councilPeers * signatureBytes)
  if (signatures.length !== voters.length * signatureBytes)
    throw new SwarmError('MESSAGE_INVALID', 'field "signatures" does not have one entry for each voter')
  return voters.map((voter, index) => ({
    voter,
    signature: signatures.subarray(index * signatureBytes, (index + 1) * signatureBytes),
  }))
}

function joined(signatures: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(signatures.length * signatureBytes)
  for (const [index, signature] of signatures.entries()) bytes.set(signature, index * signatureBytes)
  return bytes
}

function encodeMandate({ deputy, round, incarnation, promised }: Mandate): Record<string, unknown> {
  return { deputy, round, incarnation, ballot: promised ? encodeBallot(promised) : null }
}

function decodeMandate(f: Fields): Mandate {
  return {
    deputy: f.id('deputy'),
    round: decodeRound(f),
    incarnation: f.integer('incarnation', 2 ** 32),
    promised: f.has('ballot') ? decodeBallot(f) : undefined,
  }
}

function encodeStanding({ round, root, incarnation, isVoter, bandwidth, place }: Hold | Commit) {
  return { round, root, incarnation, voter: isVoter, bandwidth: bandwidth ?? null, place: place ?? null }
}

function decodeStanding(f: Fields): Omit<Hold, 'kind'> {
  return {
    round: decodeRound(f),
    root: f.id('root'),
    incarnation: f.integer('incarnation', 2 ** 32),
    isVoter: f.boolean('voter'),
    bandwidth: f.has('bandwidth') ? f.quantity('bandwidth', bandwidthMax) : undefined,
    place: f.has('place') ? f.place('place') : undefined,
  }
}

function decodePartName(f: Fields): { round: number; planId: string; part: number } {
  return { round: decodeRound(f), planId: f.digest('plan'), part: f.integer('part', partsMax - 1) }
}

/** What a part adds up to, of a group or of one row. */
type Summed = Omit<Result, 'kind'>

function encodeSummed({ round, planId, part, bitmap, weight, bytes }: Summed): Record<string, unknown> {
  return { round, plan: fromHex(planId), part, bitmap, weight, bytes }
}

function decodeSummed(f: Fields): Summed {
  return {
    ...decodePartName(f),
    bitmap: f.bytes('bitmap', bitmapBytesMax),
    weight: f.quantity('weight', weightMax),
    bytes: f.bytes('bytes', partBytesMax),
  }
}

function encodeSealed({ plan, ...seal }: { plan: Plan } & SealContent): Record<string, unknown> {
  return { plan: encodePlan(plan), ...encodeSeal(seal) }
}

function decodeSealed(f: Fields): { plan: Plan } & SealContent {
  return { plan: decodePlan(f.nested('plan')), ...decodeSeal(f) }
}

function encodeSeal({ digests, absent }: SealContent): Record<string, unknown> {
  return { digests: fromHex(...digests), absent }
}

function decodeSeal(f: Fields): SealContent {
  return { digests: f.digests('digests', partsMax), absent: f.ids('absent', listedMax) }
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
