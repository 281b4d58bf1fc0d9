/**
 * Coding `int8`: blocks of 256 values that share one f32 scale, the block's largest absolute value divided by 127.
 *
 *     scale f32 LE · ⌈n / 256⌉   then   q i8 · n          x ≈ scale · q,  q from −127 to 127, rounded half to even
 *
 * Error of one value: at most half a scale, so 0.4 % of the largest value in its block. A block whose scale would be a
 * subnormal number (largest value under 1.5e−36) is coded as zeros.
 */

import { SwarmError } from '../../core/errors.ts'
import type { Coding } from './codec.ts'
import { bitsOf, largestOf } from './magnitude.ts'
import { isScale, normalMin, roundingShift, wrongLength } from './quantum.ts'

/** Elements behind one scale: 1.6 % overhead, and one outlier spoils the resolution of no more than 255 neighbours. */
const blockElements = 256

/** Largest quantised value: symmetric, so that zero is exact and −x codes to −q. */
const quantumMax = 127

/** Largest magnitude that a byte can hold: −128 is never written, but a stranger may write it. */
const byteMax = 128

export const int8: Coding = {
  name: 'int8',
  encodedBytes: (length) => 4 * Math.ceil(length / blockElements) + length,

  encode(values, headBytes = 0) {
    const blocks = Math.ceil(values.length / blockElements)
    const bytes = new Uint8Array(headBytes + 4 * blocks + values.length)
    const view = new DataView(bytes.buffer, headBytes)
    const quanta = new Int8Array(bytes.buffer, headBytes + 4 * blocks)
    const bits = bitsOf(values)
    for (let block = 0; block < blocks; block++) {
      const start = block * blockElements
      const end = Math.min(start + blockElements, values.length)
      const scale = scaleFor(largestOf(bits, start, end))
      view.setFloat32(4 * block, scale, true)
      const inverse = scale === 0 ? 0 : 1 / scale
      for (let i = start; i < end; i++) {
        // at most 127 · (1 + 2⁻²³) before rounding, so 127 after it: the scale is an f32 next to largest / 127
        quanta[i] = values[i]! * inverse + roundingShift - roundingShift
      }
    }
    return bytes
  },

  decode(bytes, into) {
    const scales = scalesOf(bytes, into.length)
    const blocks = Math.ceil(into.length / blockElements)
    const quanta = new Int8Array(bytes.buffer, bytes.byteOffset + 4 * blocks, into.length)
    let largest = 0
    for (let block = 0; block < blocks; block++) {
      const scale = scaleAt(scales, block)
      if (scale > largest) largest = scale
      const end = Math.min((block + 1) * blockElements, into.length)
      for (let i = block * blockElements; i < end; i++) into[i] = scale * quanta[i]!
    }
    return byteMax * largest
  },

  bound(bytes, length) {
    const scales = scalesOf(bytes, length)
    let largest = 0
    for (let block = 0; 4 * block < scales.byteLength; block++)
      largest = Math.max(largest, scaleAt(scales, block))
    return byteMax * largest
  },
}

/** Where the scales lie. */
function scalesOf(bytes: Uint8Array, length: number): DataView {
  const scaleBytes = 4 * Math.ceil(length / blockElements)
  if (bytes.length !== scaleBytes + length) throw wrongLength('int8', bytes.length, length)
  return new DataView(bytes.buffer, bytes.byteOffset, scaleBytes)
}

function scaleAt(scales: DataView, block: number): number {
  const scale = scales.getFloat32(4 * block, true)
  if (!isScale(scale, byteMax))
    throw new SwarmError('PART_INVALID', `the scale of block ${block} is ${scale}`)
  return scale
}

/** The scale of a block whose largest magnitude is `largest`. */
function scaleFor(largest: number): number {
  const scale = Math.fround(largest / quantumMax)
  if (scale < normalMin) return 0
  if (!isScale(scale, byteMax))
    throw new SwarmError('PART_INVALID', `an element of ${largest} is too large for int8`)
  return scale
}
