/**
 * dag-cbor whose byte strings are views of the bytes that it is read from: a vector that a message carries is not
 * copied once more. What is decoded is good for as long as those bytes are left alone.
 */

import { decode as decodeCbor } from '@ipld/dag-cbor'
import { SwarmError } from '../core/errors.ts'

/** dag-cbor takes each byte string out of a message with `slice`, which copies; of these bytes that is a view too. */
class SharedBytes extends Uint8Array<ArrayBuffer> {
  static get [Symbol.species](): Uint8ArrayConstructor {
    return Uint8Array
  }

  override slice(start?: number, end?: number): Uint8Array<ArrayBuffer> {
    return this.subarray(start, end)
  }
}

/**
 * The value in `bytes`, which is borrowed.
 * @throws {SwarmError} MESSAGE_INVALID when they are no dag-cbor.
 */
export function decodeInPlace({ buffer, byteOffset, byteLength }: Uint8Array): unknown {
  try {
    return decodeCbor(new SharedBytes(buffer as ArrayBuffer, byteOffset, byteLength))
  } catch (cause) {
    throw new SwarmError('MESSAGE_INVALID', 'the message is not dag-cbor', { cause })
  }
}
