/**
 * The largest values of a chunk, without sorting it: a histogram of the upper bits of the magnitudes (eight of the
 * exponent, four of the mantissa) tells the bin in which the smallest chosen value lies, and only that bin is looked at
 * closely.
 */

import { firstNotFinite } from './magnitude.ts'
import { chunkElements } from './positions.ts'

/** Bits of an f32 below those that choose its bin. */
const binShift = 19

/** Upper bits of the magnitudes of infinity and NaN. */
const notFiniteBin = 0x7f800000 >>> binShift

/** Scratch: values in each bin. */
const histogram = new Uint16Array(2 ** (31 - binShift))
/** Scratch: magnitudes of one bin. */
const rivals = new Uint32Array(chunkElements)

/**
 * Writes the places of the `wanted` largest magnitudes of `bits[start … end)` (f32 values by their bits; at most
 * `chunkElements`) into `places`, ascending and counted from `start`; of equal ones the first. Zeros are never chosen.
 * @returns how many were chosen.
 * @throws {SwarmError} PART_INVALID when a value is not finite.
 */
export function selectLargest(
  bits: Uint32Array,
  start: number,
  end: number,
  wanted: number,
  places: Uint16Array,
): number {
  histogram.fill(0)
  for (let i = start; i < end; i++) histogram[(bits[i]! & 0x7fffffff) >>> binShift]!++
  if (histogram.subarray(notFiniteBin).some((count) => count > 0)) throw firstNotFinite(bits, start, end)
  let above = 0
  let bin = notFiniteBin - 1
  while (bin > 0 && above + histogram[bin]! <= wanted) above += histogram[bin--]!
  const threshold = thresholdIn(bits, start, end, bin, wanted - above)
  return collect(bits, start, end, threshold, wanted, places)
}

/**
 * Where the choice ends when `count` more are taken from `bin`: the last magnitude, and how many values of just that.
 */
function thresholdIn(
  bits: Uint32Array,
  start: number,
  end: number,
  bin: number,
  count: number,
): { magnitude: number; equals: number } {
  let found = 0
  for (let i = start; i < end; i++) {
    const magnitude = bits[i]! & 0x7fffffff
    if (magnitude >>> binShift === bin && magnitude !== 0) rivals[found++] = magnitude
  }
  if (count === 0 || found === 0) return { magnitude: (bin + 1) << binShift, equals: chunkElements }
  const sorted = rivals.subarray(0, found).sort()
  const last = Math.max(0, found - count)
  const magnitude = sorted[last]!
  let equals = 0
  while (sorted[last + equals] === magnitude) equals++
  return { magnitude, equals }
}

/** Places whose magnitude is above the threshold, and the first `equals` of those at it. */
function collect(
  bits: Uint32Array,
  start: number,
  end: number,
  { magnitude, equals }: { magnitude: number; equals: number },
  wanted: number,
  places: Uint16Array,
): number {
  let count = 0
  let left = equals
  for (let i = start; i < end && count < wanted; i++) {
    const size = bits[i]! & 0x7fffffff
    if (size < magnitude) continue
    if (size === magnitude && left-- <= 0) continue
    places[count++] = i - start
  }
  return count
}
