/**
 * Codec `f32`: the values themselves, 4 bytes each, IEEE 754 little-endian. Exact.
 *
 * Bytes are copied as they lie in memory, four times faster than value by value; `encodeState` refuses machines that are not
 * little-endian.
 */

import { SwarmError } from '../../core/errors.ts'
import type { Codec } from './codec.ts'

export const f32: Codec = {
  name: 'f32',
  bytesPerElement: 4,
  encodedBytes: (length) => 4 * length,

  encode(values) {
    requireFinite(values)
    return asBytes(values).slice()
  },

  decode(bytes, into) {
    if (bytes.length !== 4 * into.length)
      throw new SwarmError('PART_INVALID', `${bytes.length} bytes of f32 for ${into.length} elements`)
    asBytes(into).set(bytes)
    requireFinite(into)
  },
}

function asBytes(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}

function requireFinite(values: Float32Array): void {
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i]!)) throw new SwarmError('PART_INVALID', `element ${i} is ${values[i]}`)
  }
}
