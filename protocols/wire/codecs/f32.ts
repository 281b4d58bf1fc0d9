/** Codec `f32`: the values themselves, 4 bytes each, IEEE 754 little-endian. Exact. */

import { SwarmError } from '../../core/errors.ts'
import type { Codec } from './codec.ts'

export const f32: Codec = {
  name: 'f32',
  bytesPerElement: 4,
  encodedBytes: (length) => 4 * length,

  encode(values) {
    const bytes = new Uint8Array(4 * values.length)
    const view = new DataView(bytes.buffer)
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!
      if (!Number.isFinite(value)) throw new SwarmError('PART_INVALID', `element ${i} is ${value}`)
      view.setFloat32(4 * i, value, true)
    }
    return bytes
  },

  decode(bytes, into) {
    if (bytes.length !== 4 * into.length)
      throw new SwarmError('PART_INVALID', `${bytes.length} bytes of f32 for ${into.length} elements`)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (let i = 0; i < into.length; i++) {
      const value = view.getFloat32(4 * i, true)
      if (!Number.isFinite(value)) throw new SwarmError('PART_INVALID', `element ${i} is ${value}`)
      into[i] = value
    }
  },
}
