/**
 * A coding that keeps the largest values of each chunk of 4,096: what `topk` and `sparse` have in common. They differ
 * in how many they keep and in how they write the kept ones down.
 *
 *     chunk ‖ chunk ‖ …      each as long as its form says, the last one of what is left
 */

import type { Coding } from './codec.ts'
import { bitsOf, largestOf } from './magnitude.ts'
import { chunkElements } from './positions.ts'
import { wrongLength } from './quantum.ts'
import { selectLargest } from './selection.ts'

export interface ChunkForm {
  name: Coding['name']
  /** Most values that are kept of a chunk of `length`, 1 to 4,096. */
  keptOf(length: number): number
  /** Bytes of a chunk of `length` with `count` values kept. */
  chunkBytes(count: number, length: number): number
  /** Scratch of one chunk, u16[4096]: the places of the values to keep, ascending, when `encodeChunk` is called. */
  places: Uint16Array
  /**
   * Writes `chunk`'s values at the first `count` of `places`. @returns bytes written, at most `chunkBytes(count, …)`.
   */
  encodeChunk(chunk: Float32Array, count: number, bytes: Uint8Array, offset: number): number
  /**
   * Reads one chunk into `chunk`, which is zero. @returns bytes read.
   * @throws {SwarmError} PART_INVALID.
   */
  decodeChunk(bytes: Uint8Array, offset: number, chunk: Float32Array): number
}

/** The coding whose chunks have `form`. */
export function chunked({ name, keptOf, chunkBytes, places, encodeChunk, decodeChunk }: ChunkForm): Coding {
  const encodedBytes = (length: number) => {
    const full = Math.floor(length / chunkElements)
    const rest = length % chunkElements
    const restBytes = rest > 0 ? chunkBytes(keptOf(rest), rest) : 0
    return full * chunkBytes(keptOf(chunkElements), chunkElements) + restBytes
  }
  return {
    name,
    encodedBytes,
    encode(values, headBytes = 0) {
      const bytes = new Uint8Array(headBytes + encodedBytes(values.length))
      const bits = bitsOf(values)
      let offset = headBytes
      for (let start = 0; start < values.length; start += chunkElements) {
        const end = Math.min(start + chunkElements, values.length)
        const count = selectLargest(bits, start, end, keptOf(end - start), places)
        offset += encodeChunk(values.subarray(start, end), count, bytes, offset)
      }
      return bytes.subarray(0, offset)
    },
    decode(bytes, into) {
      into.fill(0)
      let offset = 0
      for (let start = 0; start < into.length; start += chunkElements) {
        const chunk = into.subarray(start, Math.min(start + chunkElements, into.length))
        offset += decodeChunk(bytes, offset, chunk)
      }
      if (offset !== bytes.length) throw wrongLength(name, bytes.length, into.length)
      return largestOf(bitsOf(into))
    },
  }
}
