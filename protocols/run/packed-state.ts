/**
 * A state in one piece, for a disk: what its blocks hold, in order.
 *
 *     u32 length │ index block │ chunk 0 │ chunk 1 │ …        the length is the index block's, little-endian
 *
 * Nothing is hashed when it is read: the disk's own checksum is the caller's business, and who goes on from the state
 * encodes it again.
 */

import { decode } from '@ipld/dag-cbor'
import type { CID } from 'multiformats/cid'
import { SwarmError } from '../core/errors.ts'
import { blockBytesMax } from '../core/limits.ts'
import { decodeState, type EncodedState, type ExpectedState, readStateIndex, type State } from './state.ts'

const lengthBytes = 4

/** The bytes of `state`, in pieces that follow each other; borrowed. */
export function packState({ root, blocks }: EncodedState): Uint8Array[] {
  const index = blocks.get(root.toString())!
  const length = new Uint8Array(lengthBytes)
  new DataView(length.buffer).setUint32(0, index.length, true)
  const { chunks } = decode<{ chunks: CID[] }>(index) // equal chunks are one block
  return [length, index, ...chunks.map((cid) => blocks.get(cid.toString())!)]
}

/** The state that {@link packState} packed. @throws {SwarmError} STATE_MISMATCH when it is not one of `expected`. */
export function unpackState(bytes: Uint8Array, expected: ExpectedState): State {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const start = bytes.length < lengthBytes ? bytes.length : lengthBytes + view.getUint32(0, true)
  if (start >= bytes.length) throw new SwarmError('STATE_MISMATCH', 'a packed state is cut off')
  const index = readStateIndex(bytes.subarray(lengthBytes, start), expected)
  const chunks: Uint8Array[] = []
  for (let at = start; at < bytes.length; at += blockBytesMax)
    chunks.push(bytes.subarray(at, at + blockBytesMax))
  return decodeState(index, chunks)
}
