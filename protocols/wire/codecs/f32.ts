/**
 * Coding `f32`: the values themselves, 4 bytes each, IEEE 754 little-endian. Exact.
 *
 * Bytes are copied as they lie in memory, four times faster than value by value; `encodeState` refuses machines that
 * are not little-endian.
 */

import type { Coding } from './codec.ts'
import { bitsOf, largestOf } from './magnitude.ts'
import { wrongLength } from './quantum.ts'

export const f32: Coding = {
  name: 'f32',
  encodedBytes: (length) => 4 * length,

  encode(values, headBytes = 0, into) {
    largestOf(bitsOf(values))
    const length = headBytes + values.byteLength
    const bytes =
      into !== undefined && into.length >= length ? into.subarray(0, length) : new Uint8Array(length)
    bytes.set(asBytes(values), headBytes)
    return bytes
  },

  decode(bytes, into) {
    if (bytes.length !== 4 * into.length) throw wrongLength('f32', bytes.length, into.length)
    asBytes(into).set(bytes)
    return largestOf(bitsOf(into))
  },
}

function asBytes(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}
