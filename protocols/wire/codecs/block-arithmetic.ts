/**
 * The loops of codecs and sums over a *strip*, up to 4,096 values in memory that belongs to the loops: the largest of
 * each block, values to quanta of 8 or 4 bits, and back; weighted sums. Who wants one copies a strip in and the result
 * out; bytes, scales and errors are the codec's own business.
 *
 *     values f32[4096]  ──findLargest──▶  largest f32, one of a block  ──the codec──▶  factors f64, one of a block
 *     values · factors  ──quantise8, quantise4──▶  quanta  ──scale8, scale4──▶  quanta · factors
 *
 * There are two of them, whose results have the same bits: plain-arithmetic.ts, and simd-arithmetic.ts, which takes a
 * fifth of the time and is used wherever it runs (arithmetic.ts).
 */

/** Values of a strip: 16 KiB stay in the nearest cache while they are looked at twice. */
export const stripElements = 4096

/** Blocks are whole multiples of so many values. */
export const vectorElements = 16

/** The smallest block that shares a factor. */
export const blockElementsMin = 64

/** Elements behind one factor of 8-bit quanta, as `int8` has them. */
export const block8Elements = 256

/** Elements behind one factor of 4-bit quanta, as `int4` has them. */
export const block4Elements = 64

/** All counts are of values, 1 to 4,096; what lies behind `count` in the last block of `values` must be zero. */
export interface BlockArithmetic {
  /** f32[4096]. */
  readonly values: Float32Array
  /** The same memory. */
  readonly bits: Uint32Array
  /** f32[4096]. */
  readonly sums: Float32Array
  /** i8[4096]; 4-bit quanta lie two in a byte, the first in the low half. */
  readonly quanta: Int8Array
  /** f64[64], one of a block. */
  readonly factors: Float64Array
  /** f32[64], one of a block. */
  readonly largest: Float32Array
  /**
   * Fills `largest` with the largest magnitude of each block of `blockElements`, a multiple of 16 values: infinity or
   * NaN if there is one in it.
   */
  findLargest(count: number, blockElements: number): void
  /** quanta ← values · factors, rounded half to even; no product passes 127 after rounding. */
  quantise8(count: number): void
  /** The same for four bits; no product passes 7 after rounding. */
  quantise4(count: number): void
  /** values ← quanta · factors, which are f32 values, rounded to f32. */
  scale8(count: number): void
  /** The same for four bits. */
  scale4(count: number): void
  /** sums ← sums + weight · values: the product rounded to f64, the sum to f64 and then to f32. */
  addWeighted(count: number, weight: number): void
  /** sums ← sums / by: the quotient rounded to f64 and then to f32. */
  divide(count: number, by: number): void
}

/** Copies `source[start … end)` into the strip's memory, and zeros behind it to a whole block. */
export function putStrip(
  { bits }: BlockArithmetic,
  source: Uint32Array,
  { start, end, blockElements }: { start: number; end: number; blockElements: number },
): void {
  const count = end - start
  bits.set(source.subarray(start, end))
  if (count % blockElements !== 0) bits.fill(0, count, Math.ceil(count / blockElements) * blockElements)
}
