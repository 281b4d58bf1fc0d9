/**
 * Messages as bytes: dag-cbor of one small object with a written numeric `kind`. The size is checked before anything is
 * decoded, the shape by a schema right after, so nothing unchecked gets past this file.
 *
 * dag-cbor is strict about its input (one encoding for each value, no duplicate keys, no undefined), so equal messages
 * are equal bytes.
 */

import * as dagCbor from '@ipld/dag-cbor'
import type { CID } from 'multiformats/cid'
import * as z from 'zod'
import { isBlockCid } from '../core/block-cid.ts'
import { SwarmError } from '../core/errors.ts'

/** The CID of a block of Starling's (`isBlockCid`). */
export const blockCidSchema = z.custom<CID>(isBlockCid, 'is no CID of a raw or dag-cbor block with SHA-256')

/** Bytes of one message; the schema of its kind is the sender's own business. */
export function encodeMessage(message: object): Uint8Array {
  return dagCbor.encode(message)
}

/**
 * The message in `bytes`, checked against `schema`; `what` names it in errors.
 * @throws {SwarmError} MESSAGE_TOO_LARGE above `bytesMax`, MESSAGE_INVALID for anything that is no such message.
 */
export function decodeMessage<Message>(
  bytes: Uint8Array,
  options: { schema: z.ZodType<Message>; bytesMax: number; what: string },
): Message {
  const { schema, bytesMax, what } = options
  if (bytes.byteLength > bytesMax) {
    throw new SwarmError(
      'MESSAGE_TOO_LARGE',
      `${what} of ${bytes.byteLength} bytes passes the limit of ${bytesMax}`,
    )
  }
  let value: unknown
  try {
    value = dagCbor.decode(bytes)
  } catch (error) {
    throw new SwarmError('MESSAGE_INVALID', `${what} is not dag-cbor`, { cause: error })
  }
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const place = issue?.path.join('.') || 'the message'
  throw new SwarmError('MESSAGE_INVALID', `${what}: ${place} ${issue?.message ?? 'is wrong'}`)
}
