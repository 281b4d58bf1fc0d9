/**
 * Coding `f16`: IEEE 754 half precision, after each block of 4,096 values was scaled by a power of two.
 *
 *     scale f32 LE · ⌈n / 4096⌉   then   half LE · n          x = scale · half,   scale = 2^e or 0
 *
 * Halves alone end at 65,504 and lose bits below 6e−5, where most updates lie; scaling moves the block's largest value
 * to between 2^14 and 2^15 and is exact. Error of one value: 2^−11 of it where it is above 2^−28 of the block's
 * largest, and 2^−39 of that largest below. A block whose largest value is under 2^−112 is coded as zeros.
 */

import { SwarmError } from '../../core/errors.ts'
import type { Coding } from './codec.ts'
import { bitsOf, largestOf } from './magnitude.ts'
import { normalMin, wrongLength } from './quantum.ts'

/** Elements behind one scale: 0.1 % overhead; what is lost below 2^−28 of a block's largest is noise. */
const blockElements = 4096

/**
 * The block's largest value becomes less than 2 to this: the largest half is just under 2^16, and rounding may carry.
 */
const exponentMax = 15

/** The largest magnitude that a block can have: its scale and the inverse of that are then normal numbers. */
const largestMax = 2 ** 127

const encodedBytes = (length: number) => 4 * Math.ceil(length / blockElements) + 2 * length

export const f16: Coding = {
  name: 'f16',
  encodedBytes,

  encode(values, headBytes = 0) {
    const blocks = Math.ceil(values.length / blockElements)
    const padding = headBytes % 2 // halves are written as such, so they stand at an even place
    const bytes = new Uint8Array(padding + headBytes + encodedBytes(values.length)).subarray(padding)
    const view = new DataView(bytes.buffer, padding + headBytes)
    const halves = new Uint16Array(bytes.buffer, padding + headBytes + 4 * blocks, values.length)
    const bits = bitsOf(values)
    for (let block = 0; block < blocks; block++) {
      const start = block * blockElements
      const end = Math.min(start + blockElements, values.length)
      const scale = powerFor(largestOf(bits, start, end))
      view.setFloat32(4 * block, scale, true)
      const inverse = scale === 0 ? 0 : 1 / scale
      for (let i = start; i < end; i++) halves[i] = halfOf(values[i]! * inverse)
    }
    return bytes
  },

  decode(bytes, into) {
    const { length } = into
    if (bytes.length !== encodedBytes(length)) throw wrongLength('f16', bytes.length, length)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const blocks = Math.ceil(length / blockElements)
    for (let block = 0; block < blocks; block++) {
      const scale = view.getFloat32(4 * block, true)
      if (!isPower(scale)) throw new SwarmError('PART_INVALID', `the scale of block ${block} is ${scale}`)
      const end = Math.min((block + 1) * blockElements, length)
      for (let i = block * blockElements; i < end; i++) {
        const place = 4 * blocks + 2 * i
        into[i] = scale * halfValues[bytes[place]! | (bytes[place + 1]! << 8)]!
      }
    }
    return largestOf(bitsOf(into))
  },
}

const f32Cell = new Float32Array(1)
const bitsCell = new Uint32Array(f32Cell.buffer)

/** The power of two that `largest` (finite) is divided by; 0 when that is no normal number. */
function powerFor(largest: number): number {
  if (largest >= largestMax)
    throw new SwarmError('PART_INVALID', `an element of ${largest} is too large for f16`)
  f32Cell[0] = largest
  const exponent = (bitsCell[0]! >>> 23) - 127
  const scale = 2 ** (exponent - exponentMax + 1)
  return scale < normalMin ? 0 : scale
}

/** Whether `scale` can be written: zero, or a power of two whose product with the largest half is finite. */
function isPower(scale: number): boolean {
  f32Cell[0] = scale
  const bits = bitsCell[0]!
  return scale === 0 || ((bits & 0x807fffff) === 0 && scale >= normalMin && scale <= 2 ** 112)
}

/**
 * The half nearest to `value` (magnitude at most 2^15), ties to even. Integer arithmetic on the f32 bits, after F.
 * Giesen's `float_to_half_fast3_rtne` (2016, public domain).
 */
function halfOf(value: number): number {
  f32Cell[0] = value
  const bits = bitsCell[0]!
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fffffff
  if (magnitude < 0x38800000) {
    // under 2^−14 a half is subnormal: adding 0.5 lines its ten bits up with the low bits of the f32, which rounds them
    bitsCell[0] = magnitude
    f32Cell[0] = f32Cell[0]! + 0.5
    return sign | (bitsCell[0]! - 0x3f000000)
  }
  // rebias the exponent from 127 to 15 and round away the 13 bits that a half lacks
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13)
}

/** The value of every half by its bits, 256 KiB: looking one up is four times as fast as computing it. */
const halfValues = Float32Array.from({ length: 1 << 16 }, (_, bits) => {
  const exponent = (bits >>> 10) & 31
  const fraction = bits & 1023
  if (exponent === 31) return fraction === 0 ? Number.POSITIVE_INFINITY : Number.NaN
  const magnitude = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25)
  return bits & 0x8000 ? -magnitude : magnitude
})
