/**
 * The allreduce's messages as bytes: a dag-cbor map with a numeric `kind`. On the wire digests are 32 raw bytes.
 *
 * `decodeMessage` checks every field against the limits; whether a message makes sense now is the machine's question.
 */

import { encode as encodeCbor } from '@ipld/dag-cbor'
import { Uint8ArrayList } from 'uint8arraylist'
import { SwarmError } from '../core/errors.ts'
import { Fields, fromHex } from '../core/fields.ts'
import { frameBytesMax, partsMax, planPeersMax, roundWeightMax, runPeersMax } from '../core/limits.ts'
import { decodeInPlace } from '../wire/decode-in-place.ts'
import { mapInPieces } from '../wire/map-in-pieces.ts'
import type { Frame } from '../wire/outbox.ts'
import {
  decodeBallot,
  decodeLed,
  decodeMandate,
  decodePartName,
  decodeRound,
  decodeSeal,
  decodeSealed,
  decodeSignature,
  decodeStanding,
  decodeSummed,
  decodeVotes,
  encodeBallot,
  encodeLed,
  encodeMandate,
  encodeSeal,
  encodeSealed,
  encodeSignature,
  encodeStanding,
  encodeSummed,
  encodeVotes,
  partBytesMax,
} from './message-fields.ts'
import { rowCountOf } from './plan/grid.ts'
import { decodePace, encodePace } from './plan/pace.ts'
import { decodeLists, decodePlan, encodeLists, encodePlan } from './plan/plan-codec.ts'
import {
  type Accepted,
  isData,
  isRelayed,
  type Message,
  type PromiseMade,
  type Relayed,
} from './round/vocabulary.ts'

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
      weight: f.integer('weight', roundWeightMax),
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
    encode: (m) => ({ ...encodeLed(m), plan: encodePlan(m.plan) }),
    decode: (f) => ({ ...decodeLed(f), plan: decodePlan(f.nested('plan')) }),
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
    encode: (m) => ({ ...encodeLed(m), plan: fromHex(m.planId), parts: m.parts, reducer: m.reducer }),
    decode: (f) => ({
      ...decodeLed(f),
      planId: f.digest('plan'),
      parts: f.integers('parts', partsMax, partsMax - 1),
      reducer: f.id('reducer'),
    }),
  },
  Prepare: {
    tag: 9,
    encode: (m) => encodeLed(m),
    decode: (f) => decodeLed(f),
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
    encode: (m) => ({ ...encodeLed(m), plan: fromHex(m.planId), ...encodeSeal(m) }),
    decode: (f) => ({ ...decodeLed(f), planId: f.digest('plan'), ...decodeSeal(f) }),
  },
  Accepted: {
    tag: 12,
    encode: (m) => ({ ...encodeLed(m), seal: fromHex(m.sealDigest) }),
    decode: (f) => ({ ...decodeLed(f), sealDigest: f.digest('seal') }),
  },
  Votes: {
    tag: 21,
    encode: (m) => ({
      round: m.round,
      ballot: encodeBallot(m.ballot),
      seal: fromHex(m.sealDigest),
      ...encodeVotes(m.votes),
    }),
    decode: (f) => ({
      round: decodeRound(f),
      ballot: decodeBallot(f),
      sealDigest: f.digest('seal'),
      votes: decodeVotes(f),
    }),
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
 * The bytes of `message` as `encodeMessage` gives them, in pieces where it carries values: those are borrowed, and a
 * copy of them would be most of what a round sends.
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
  return decodeFields(new Fields(decodeInPlace(bytes)))
}

function decodeFields(fields: Fields): Message {
  const tag = fields.integer('kind', 255)
  const kind = kindOfTag.get(tag)
  if (kind === undefined) throw new SwarmError('MESSAGE_INVALID', `unknown message tag ${tag}`)
  return { kind, ...rows[kind].decode(fields) } as Message
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
