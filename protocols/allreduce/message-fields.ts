/**
 * Fields that several of the allreduce's messages have, as entries of a dag-cbor map: ballots, seals, standings, sums,
 * signatures and votes. Which message has which of them, and under which tag, stands in `messages.ts`.
 *
 * Readers check each field against the limits, and name it when it is wrong.
 */

import { SwarmError } from '../core/errors.ts'
import { type Fields, fromHex } from '../core/fields.ts'
import {
  attemptsMax,
  councilPeers,
  partElements,
  partsMax,
  roundsMax,
  roundWeightMax,
  runPeersMax,
  signatureBytes,
} from '../core/limits.ts'
import type { Ballot } from './plan/electorate.ts'
import type { Plan } from './plan/plan.ts'
import { bandwidthMax, decodePlan, encodePlan, listedMax } from './plan/plan-codec.ts'
import type { SealContent } from './plan/seal.ts'
import type { Mandate } from './round/mandates.ts'
import type { Commit, Hold, Prepare, Result, Vote } from './round/vocabulary.ts'

/** Bytes of one encoded part: f32, the widest codec, and the byte that names it. */
export const partBytesMax = 1 + 4 * partElements

/** Bytes of a bitmap over the contributors of a plan. */
export const bitmapBytesMax = listedMax / 8

/** Weight behind one part: all updates of the largest run. */
export const weightMax = roundWeightMax * runPeersMax

/** A word's signature, if it has one. */
export function encodeSignature({
  signature,
}: {
  signature?: Uint8Array | undefined
}): Record<string, unknown> {
  return signature === undefined ? {} : { signature }
}

/** @throws {SwarmError} MESSAGE_INVALID when it is longer than a signature. */
export function decodeSignature(f: Fields): { signature?: Uint8Array } {
  return f.has('signature') ? { signature: f.bytes('signature', signatureBytes) } : {}
}

/** What the words of a ballot have in common: round, ballot and, where it is passed on, the signature. */
export function encodeLed(message: Omit<Prepare, 'kind'>): Record<string, unknown> {
  const { round, ballot } = message
  return { round, ballot: encodeBallot(ballot), ...encodeSignature(message) }
}

/** @throws {SwarmError} MESSAGE_INVALID naming the field that is wrong. */
export function decodeLed(f: Fields): Omit<Prepare, 'kind'> {
  return { round: decodeRound(f), ballot: decodeBallot(f), ...decodeSignature(f) }
}

/**
 * As `encodeVotes` writes them. @throws {SwarmError} MESSAGE_INVALID when there is not one signature for each voter.
 */
export function decodeVotes(f: Fields): Vote[] {
  const voters = f.ids('voters', councilPeers)
  const signatures = f.bytes('signatures', councilPeers * signatureBytes)
  if (signatures.length !== voters.length * signatureBytes)
    throw new SwarmError('MESSAGE_INVALID', 'field "signatures" does not have one entry for each voter')
  return voters.map((voter, index) => ({
    voter,
    signature: signatures.subarray(index * signatureBytes, (index + 1) * signatureBytes),
  }))
}

/**
 * The votes of a decision; their signatures stand one after the other in one byte string, in the order of the voters.
 */
export function encodeVotes(votes: readonly Vote[]): Record<string, unknown> {
  const signatures = new Uint8Array(votes.length * signatureBytes)
  for (const [index, { signature }] of votes.entries()) signatures.set(signature, index * signatureBytes)
  return { voters: votes.map(({ voter }) => voter), signatures }
}

/** What a member that goes hands over. */
export function encodeMandate({ deputy, round, incarnation, promised }: Mandate): Record<string, unknown> {
  return { deputy, round, incarnation, ballot: promised ? encodeBallot(promised) : null }
}

/** @throws {SwarmError} MESSAGE_INVALID naming the field that is wrong. */
export function decodeMandate(f: Fields): Mandate {
  return {
    deputy: f.id('deputy'),
    round: decodeRound(f),
    incarnation: f.integer('incarnation', 2 ** 32),
    promised: f.has('ballot') ? decodeBallot(f) : undefined,
  }
}

/** What a peer says of itself. */
export function encodeStanding({ round, root, incarnation, isVoter, bandwidth, place }: Hold | Commit) {
  return { round, root, incarnation, voter: isVoter, bandwidth: bandwidth ?? null, place: place ?? null }
}

/** @throws {SwarmError} MESSAGE_INVALID naming the field that is wrong. */
export function decodeStanding(f: Fields): Omit<Hold, 'kind'> {
  return {
    round: decodeRound(f),
    root: f.id('root'),
    incarnation: f.integer('incarnation', 2 ** 32),
    isVoter: f.boolean('voter'),
    bandwidth: f.has('bandwidth') ? f.quantity('bandwidth', bandwidthMax) : undefined,
    place: f.has('place') ? f.place('place') : undefined,
  }
}

/** Which part of which plan. @throws {SwarmError} MESSAGE_INVALID naming the field that is wrong. */
export function decodePartName(f: Fields): { round: number; planId: string; part: number } {
  return { round: decodeRound(f), planId: f.digest('plan'), part: f.integer('part', partsMax - 1) }
}

/** What a part adds up to, of a group or of one row. */
export type Summed = Omit<Result, 'kind'>

/** A sum or a mean; `bytes` is borrowed. */
export function encodeSummed({
  round,
  planId,
  part,
  bitmap,
  weight,
  bytes,
}: Summed): Record<string, unknown> {
  return { round, plan: fromHex(planId), part, bitmap, weight, bytes }
}

/** `bytes` is a view. @throws {SwarmError} MESSAGE_INVALID naming the field that is wrong. */
export function decodeSummed(f: Fields): Summed {
  return {
    ...decodePartName(f),
    bitmap: f.bytes('bitmap', bitmapBytesMax),
    weight: f.integer('weight', weightMax),
    bytes: f.bytes('bytes', partBytesMax),
  }
}

/** A seal with its plan. */
export function encodeSealed({ plan, ...seal }: { plan: Plan } & SealContent): Record<string, unknown> {
  return { plan: encodePlan(plan), ...encodeSeal(seal) }
}

/** @throws {SwarmError} MESSAGE_INVALID naming the field that is wrong. */
export function decodeSealed(f: Fields): { plan: Plan } & SealContent {
  return { plan: decodePlan(f.nested('plan')), ...decodeSeal(f) }
}

/** What a seal says, without its plan. */
export function encodeSeal({ digests, absent }: SealContent): Record<string, unknown> {
  return { digests: fromHex(...digests), absent }
}

/** @throws {SwarmError} MESSAGE_INVALID naming the field that is wrong. */
export function decodeSeal(f: Fields): SealContent {
  return { digests: f.digests('digests', partsMax), absent: f.ids('absent', listedMax) }
}

/** A ballot as a map of its own. */
export function encodeBallot({ attempt, leader }: Ballot): Record<string, unknown> {
  return { attempt, leader }
}

/** The field `ballot`. @throws {SwarmError} MESSAGE_INVALID naming the field that is wrong. */
export function decodeBallot(f: Fields): Ballot {
  const ballot = f.nested('ballot')
  return { attempt: ballot.integer('attempt', attemptsMax), leader: ballot.id('leader') }
}

/** The field `round`. @throws {SwarmError} MESSAGE_INVALID when it is past the longest run. */
export function decodeRound(f: Fields): number {
  return f.integer('round', roundsMax)
}
