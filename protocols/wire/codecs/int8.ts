/**
 * Coding `int8`: blocks of 256 values that share one f32 scale, the block's largest absolute value divided by 127. That
 * is 1.6 % of overhead, and one outlier spoils the resolution of no more than 255 neighbours.
 *
 *     scale f32 LE · ⌈n / 256⌉   then   q i8 · n          x ≈ scale · q,  q from −127 to 127, rounded half to even
 *
 * Error of one value: at most half a scale, so 0.4 % of the largest value in its block. A block whose scale would be a
 * subnormal number (largest value under 1.5e−36) is coded as zeros.
 */

import { SwarmError } from '../../core/errors.ts'
import {
  type BlockArithmetic,
  block8Elements as blockElements,
  putStrip,
  stripElements,
} from './block-arithmetic.ts'
import type { Coding } from './codec.ts'
import { bitsOf, firstNotFinite } from './magnitude.ts'
import { isScale, normalMin, wrongLength } from './quantum.ts'

/** Largest quantised value: symmetric, so that zero is exact and −x codes to −q. */
const quantumMax = 127

/** Largest magnitude that a byte can hold: −128 is never written, but a stranger may write it. */
const byteMax = 128

/** The coding, computed by `arithmetic`: its bytes do not depend on which. */
export const int8 = (arithmetic: BlockArithmetic): Coding => ({
  name: 'int8',
  encodedBytes: (length) => 4 * Math.ceil(length / blockElements) + length,

  encode(values, headBytes = 0) {
    const blocks = Math.ceil(values.length / blockElements)
    const bytes = new Uint8Array(headBytes + 4 * blocks + values.length)
    const view = new DataView(bytes.buffer, headBytes)
    const quanta = new Int8Array(bytes.buffer, headBytes + 4 * blocks)
    const bits = bitsOf(values)
    for (let start = 0; start < values.length; start += stripElements) {
      const end = Math.min(start + stripElements, values.length)
      putStrip(arithmetic, bits, { start, end, blockElements })
      arithmetic.findLargest(end - start, blockElements)
      for (let i = start, block = 0; i < end; i += blockElements, block++) {
        const largest = arithmetic.largest[block]!
        if (!(largest < Number.POSITIVE_INFINITY)) throw firstNotFinite(bits, start, end)
        const scale = scaleFor(largest)
        view.setFloat32((4 * i) / blockElements, scale, true)
        // a product is at most 127 · (1 + 2⁻²³), so 127 when rounded: the scale is an f32 next to largest / 127
        arithmetic.factors[block] = scale === 0 ? 0 : 1 / scale
      }
      arithmetic.quantise8(end - start)
      quanta.set(arithmetic.quanta.subarray(0, end - start), start)
    }
    return bytes
  },

  decode(bytes, into) {
    const scales = scalesOf(bytes, into.length)
    const blocks = Math.ceil(into.length / blockElements)
    const quanta = new Int8Array(bytes.buffer, bytes.byteOffset + 4 * blocks, into.length)
    let largest = 0
    for (let start = 0; start < into.length; start += stripElements) {
      const end = Math.min(start + stripElements, into.length)
      for (let i = start, block = 0; i < end; i += blockElements, block++) {
        const scale = scaleAt(scales, i / blockElements)
        if (scale > largest) largest = scale
        arithmetic.factors[block] = scale
      }
      arithmetic.quanta.set(quanta.subarray(start, end))
      arithmetic.scale8(end - start)
      into.set(arithmetic.values.subarray(0, end - start), start)
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
})

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
