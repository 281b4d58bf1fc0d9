/**
 * A pledge as bytes, for a disk: what an acceptor must know again after a restart.
 *
 *     u32 length │ header, dag-cbor: peer, since, round, root, promised, accepted, seal, results │ results' bytes in order
 *
 * `seal` is a SealValue message, `results` names bitmap, weight and length of each part's mean. The means themselves, a
 * vector in the job's codec, are pieces of their own, so that writing them copies nothing; read, they are views.
 * Integers are little-endian.
 */

import { decode as decodeCbor, encode as encodeCbor } from '@ipld/dag-cbor'
import { SwarmError } from '../core/errors.ts'
import { Fields } from '../core/fields.ts'
import { attemptsMax, frameBytesMax, partsMax, roundsMax } from '../core/limits.ts'
import { bitmapBytesMax, partBytesMax, weightMax } from './message-fields.ts'
import { decodeMessage, encodeMessage } from './messages.ts'
import type { Ballot } from './plan/electorate.ts'
import { planIdOf } from './plan/plan-codec.ts'
import type { Pledge, PledgedSeal } from './round/pledge.ts'
import type { Result } from './round/vocabulary.ts'

/** Bytes of the header's length. */
const lengthBytes = 4

type Part = Pick<Result, 'bitmap' | 'weight'> & { length: number }

/** The bytes of `peer`'s `pledge`, in pieces that follow each other; those of results are borrowed. */
export function encodePledge({ since, round, root, promised, accepted }: Pledge, peer: string): Uint8Array[] {
  const header = encodeCbor({
    peer,
    since,
    round,
    root,
    promised: encodeBallot(promised),
    accepted: encodeBallot(accepted?.ballot),
    seal: accepted === undefined ? null : encodeMessage({ kind: 'SealValue', round, ...accepted }),
    results: (accepted?.results ?? []).map(({ bitmap, weight, bytes }) => ({
      bitmap,
      weight,
      length: bytes.length,
    })),
  })
  const length = new Uint8Array(lengthBytes)
  new DataView(length.buffer).setUint32(0, header.length, true)
  return [length, header, ...(accepted?.results ?? []).map(({ bytes }) => bytes)]
}

export interface PledgeReader {
  /** Whose pledge it must be: an identity that was made anew has promised nothing. */
  peer: string
  /** SHA-256 as lower-case hex. */
  hash(bytes: Uint8Array): string
}

/**
 * The pledge in `bytes`.
 * @throws {SwarmError} MESSAGE_INVALID when it is another peer's, or none.
 */
export function decodePledge(bytes: Uint8Array, { peer, hash }: PledgeReader): Pledge {
  if (bytes.length < lengthBytes) throw invalid('it is cut off')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const start = lengthBytes + view.getUint32(0, true)
  if (start > bytes.length) throw invalid('it is cut off')
  const fields = new Fields(decodeHeader(bytes.subarray(lengthBytes, start)))
  const writer = fields.id('peer')
  if (writer !== peer) throw invalid(`it is peer ${writer}'s, not peer ${peer}'s`)
  const round = fields.integer('round', roundsMax)
  const ballot = decodeBallot(fields, 'accepted')
  return {
    since: fields.integer('since', roundsMax),
    round,
    root: fields.id('root'),
    promised: decodeBallot(fields, 'promised'),
    accepted: ballot && decodeSeal(fields, { ballot, round, values: bytes.subarray(start), hash }),
  }
}

function decodeSeal(
  fields: Fields,
  init: {
    ballot: Ballot
    round: number
    values: Uint8Array
    hash: PledgeReader['hash']
  },
): PledgedSeal {
  const message = decodeMessage(fields.bytes('seal', frameBytesMax))
  if (message.kind !== 'SealValue') throw invalid(`it holds a ${message.kind} where its seal belongs`)
  const { plan, digests, absent } = message
  const parts = fields.list('results', partsMax, decodePart)
  if (parts.length !== digests.length) throw invalid('its seal and its results do not fit')
  const planId = planIdOf(plan, init.hash)
  let next = 0
  const results = parts.map(({ bitmap, weight, length }, part): Result => {
    const bytes = init.values.subarray(next, next + length)
    if (bytes.length < length) throw invalid('it is cut off')
    next += length
    return { kind: 'Result', round: init.round, planId, part, bitmap, weight, bytes }
  })
  return { ballot: init.ballot, plan, digests, absent, results }
}

function decodePart(fields: Fields): Part {
  return {
    bitmap: fields.bytes('bitmap', bitmapBytesMax),
    weight: fields.integer('weight', weightMax),
    length: fields.integer('length', partBytesMax),
  }
}

function decodeHeader(bytes: Uint8Array): unknown {
  try {
    return decodeCbor(bytes)
  } catch (cause) {
    throw new SwarmError('MESSAGE_INVALID', 'a pledge is unreadable: its header is no dag-cbor', { cause })
  }
}

function encodeBallot(ballot: Ballot | undefined): { attempt: number; leader: string } | null {
  return ballot === undefined ? null : { attempt: ballot.attempt, leader: ballot.leader }
}

function decodeBallot(fields: Fields, name: string): Ballot | undefined {
  if (!fields.has(name)) return undefined
  const ballot = fields.nested(name)
  return { attempt: ballot.integer('attempt', attemptsMax), leader: ballot.id('leader') }
}

function invalid(what: string): SwarmError {
  return new SwarmError('MESSAGE_INVALID', `a pledge is unreadable: ${what}`)
}
