/**
 * How large the values of an f32 vector are, by their bits: without the sign they are integers in the order of the
 * magnitudes, with infinity and NaN above all others (IEEE 754, section 3.4).
 */

import { SwarmError } from '../../core/errors.ts'
import { arithmetic } from './arithmetic.ts'
import { putStrip, stripElements, vectorElements } from './block-arithmetic.ts'

/** All bits of an f32 but its sign. */
const magnitudeMask = 0x7fffffff

/** Magnitude of infinity; those of NaN are above. */
const infinityBits = 0x7f800000

const f32Cell = new Float32Array(1)
const bitsCell = new Uint32Array(f32Cell.buffer)

/** The memory of `values`, as the others here want it. */
export function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length)
}

/**
 * The largest absolute value among places `start` up to, but not including, `end`; 0 of none.
 * @throws {SwarmError} PART_INVALID when one is not finite.
 */
export function largestOf(bits: Uint32Array, start = 0, end = bits.length): number {
  const largest = magnitudeOf(bits, start, end)
  if (!(largest < Number.POSITIVE_INFINITY)) throw firstNotFinite(bits, start, end)
  return largest
}

/** Whether no value of `values` passes `most` (>= 0) in magnitude; NaN does. */
export function isWithin(values: Float32Array, most: number): boolean {
  return magnitudeOf(bitsOf(values), 0, values.length) <= most
}

/** The error that names the first value of `bits[start … end)` that is not finite; there is one. */
export function firstNotFinite(bits: Uint32Array, start: number, end: number): SwarmError {
  let index = start
  while (index < end - 1 && (bits[index]! & magnitudeMask) < infinityBits) index++
  return new SwarmError('PART_INVALID', `element ${index} is ${floatOf(bits[index]!)}`)
}

/** The same of any values: infinity or NaN when there is one. */
function magnitudeOf(bits: Uint32Array, start: number, end: number): number {
  let most = 0
  for (let from = start; from < end; from += stripElements) {
    const to = Math.min(from + stripElements, end)
    const blockElements = Math.ceil((to - from) / vectorElements) * vectorElements
    putStrip(arithmetic, bits, { start: from, end: to, blockElements })
    arithmetic.findLargest(to - from, blockElements)
    const largest = arithmetic.largest[0]!
    if (!(largest < Number.POSITIVE_INFINITY)) return largest
    if (largest > most) most = largest
  }
  return most
}

function floatOf(bits: number): number {
  bitsCell[0] = bits
  return f32Cell[0]!
}
