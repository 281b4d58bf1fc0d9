/**
 * Coding `int4`: blocks of 64 values that share one scale, the block's largest absolute value divided by 7.
 *
 *     scale bfloat16 LE · ⌈n / 64⌉   then   two q to a byte, the first in the low half · ⌈n / 2⌉
 *     x ≈ scale · q,   q from −7 to 7 as 4-bit two's complement, rounded half to even
 *
 * 0.53 bytes a value. Error of one value: at most half a scale, so 1/14 of the largest value in its block and 2⁻⁷ of
 * that. Published runs found 4 bits for updates as good as 32 (Streaming DiLoCo, Douillard et al. 2025; MuLoCo 2025). A
 * block whose scale would be a subnormal number (largest value under 8e−38) is coded as zeros.
 */

import { SwarmError } from '../../core/errors.ts'
import type { Coding } from './codec.ts'
import { bitsOf, largestOf } from './magnitude.ts'
import { isScale, roundingShift, scaleBits, scaleOf, wrongLength } from './quantum.ts'

/** Elements behind one scale: 64 halve the error of 4,096 on heavy tails, and 32 would cost 6 % more bytes. Even. */
const blockElements = 64

/** Largest quantised value: symmetric, so that zero is exact and −x codes to −q. */
const quantumMax = 7

/** Largest magnitude that four bits can hold: −8 is never written, but a stranger may write it. */
const nibbleMax = 8

const encodedBytes = (length: number) => 2 * Math.ceil(length / blockElements) + Math.ceil(length / 2)

export const int4: Coding = {
  name: 'int4',
  encodedBytes,

  encode(values, headBytes = 0) {
    const blocks = Math.ceil(values.length / blockElements)
    const bytes = new Uint8Array(headBytes + encodedBytes(values.length))
    const view = new DataView(bytes.buffer, headBytes)
    const quanta = bytes.subarray(headBytes + 2 * blocks)
    const bits = bitsOf(values)
    for (let block = 0; block < blocks; block++) {
      const start = block * blockElements
      const end = Math.min(start + blockElements, values.length)
      const scaled = scaleBits(largestOf(bits, start, end) / quantumMax)
      const scale = scaleOf(scaled)
      if (!isScale(scale, nibbleMax))
        throw new SwarmError('PART_INVALID', `a value of block ${block} is too large for int4`)
      view.setUint16(2 * block, scaled, true)
      encodeBlock(values, start, end, scale === 0 ? 0 : 1 / scale, quanta, start / 2)
    }
    return bytes
  },

  decode(bytes, into) {
    const { length } = into
    const scales = scalesOf(bytes, length)
    const blocks = Math.ceil(length / blockElements)
    let largest = 0
    for (let block = 0; block < blocks; block++) {
      const scale = scaleAt(scales, block)
      if (scale > largest) largest = scale
      const start = block * blockElements
      const end = Math.min(start + blockElements, length)
      let place = 2 * blocks + start / 2
      for (let i = start; i < end; i += 2, place++) {
        const pair = bytes[place]!
        into[i] = scale * ((pair << 28) >> 28)
        if (i + 1 < end) into[i + 1] = scale * ((pair << 24) >> 28)
      }
    }
    return nibbleMax * largest
  },

  bound(bytes, length) {
    const scales = scalesOf(bytes, length)
    let largest = 0
    for (let block = 0; 2 * block < scales.byteLength; block++)
      largest = Math.max(largest, scaleAt(scales, block))
    return nibbleMax * largest
  },
}

/** Where the scales lie. */
function scalesOf(bytes: Uint8Array, length: number): DataView {
  if (bytes.length !== encodedBytes(length)) throw wrongLength('int4', bytes.length, length)
  return new DataView(bytes.buffer, bytes.byteOffset, 2 * Math.ceil(length / blockElements))
}

function scaleAt(scales: DataView, block: number): number {
  const scale = scaleOf(scales.getUint16(2 * block, true))
  if (!isScale(scale, nibbleMax))
    throw new SwarmError('PART_INVALID', `the scale of block ${block} is ${scale}`)
  return scale
}

/** Writes `values[start … end)` times `inverse` from byte `place` on, rounded. */
function encodeBlock(
  values: Float32Array,
  start: number,
  end: number,
  inverse: number,
  bytes: Uint8Array,
  place: number,
): void {
  for (let i = start; i < end; i += 2, place++) {
    const low = values[i]! * inverse + roundingShift - roundingShift
    const high = i + 1 < end ? values[i + 1]! * inverse + roundingShift - roundingShift : 0
    bytes[place] = (low & 0xf) | ((high & 0xf) << 4)
  }
}
