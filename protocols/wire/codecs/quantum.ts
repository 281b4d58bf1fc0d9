/**
 * What the codings that round to few bits share: rounding half to even, and scales of two bytes.
 *
 * A scale is a bfloat16, the upper half of an f32: it has the range of f32, so that no update is too small for it, and
 * a block of 64 values pays 0.03 bytes each for it. It is rounded up, so that the largest value of a block still fits.
 */

import { SwarmError } from '../../core/errors.ts'

/** Smallest normal f32: below it a scale has lost bits, and 1 / scale may overflow f32. */
export const normalMin = 2 ** -126

/** Adding and subtracting it rounds an f64 below 2^51 to an integer, half to even: 1.5 · 2^52. */
export const roundingShift = 1.5 * 2 ** 52

const f32Cell = new Float32Array(1)
const bitsCell = new Uint32Array(f32Cell.buffer)

/**
 * The 16 bits of the least bfloat16 that is at least `value`; 0 when `value` (>= 0, finite) is under the smallest
 * normal.
 */
export function scaleBits(value: number): number {
  if (value < normalMin) return 0
  f32Cell[0] = value
  // rounding to f32 may have gone down by less than the last of the 16 bits that are cut off: those round it up again
  const bits = f32Cell[0] < value ? bitsCell[0]! + 1 : bitsCell[0]!
  return (bits + 0xffff) >>> 16
}

/** The bfloat16 with the given 16 bits. */
export function scaleOf(bits: number): number {
  bitsCell[0] = bits << 16
  return f32Cell[0]!
}

/** Whether `scale` can have been written: zero, or normal and `quantumMax` times it is finite in f32. */
export function isScale(scale: number, quantumMax: number): boolean {
  return scale === 0 || (scale >= normalMin && Math.fround(scale * quantumMax) < Number.POSITIVE_INFINITY)
}

/** Bytes that are no encoding of `length` elements. */
export function wrongLength(name: string, bytes: number, length: number): SwarmError {
  return new SwarmError('PART_INVALID', `${bytes} bytes of ${name} for ${length} elements`)
}
