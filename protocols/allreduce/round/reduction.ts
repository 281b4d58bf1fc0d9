/**
 * The weighted mean of one part: Σ wᵢ · xᵢ / Σ wᵢ, in two steps. Each row sums its updates in the order of the plan;
 * the part's finisher adds the rows' sums in the order of the rows, divides once, and encodes once. No order is ever
 * that of arrival. Every peer that has the same inputs gets the same bytes on every platform: products and additions
 * are of f64, and each sum is rounded to f32.
 */

import { hasCode } from '../../core/errors.ts'
import { partElements, updateMagnitudeMax } from '../../core/limits.ts'
import { arithmetic } from '../../wire/codecs/arithmetic.ts'
import { stripElements } from '../../wire/codecs/block-arithmetic.ts'
import type { Codec } from '../../wire/codecs/codec.ts'
import { isWithin } from '../../wire/codecs/magnitude.ts'

export interface ReductionInput {
  /** One contributor's encoded part. */
  bytes: Uint8Array
  /** Samples behind it, > 0. */
  weight: number
}

export type RowReduction =
  /** f32[length]: Σ wᵢ · xᵢ over the row. The receiver's. */
  | { kind: 'reduced'; sum: Float32Array }
  /** Indices of inputs that are no part: nothing was reduced. */
  | { kind: 'invalid'; inputs: number[] }

/**
 * Values of the part that is being added or looked at: nobody keeps them, and new arrays would be garbage of the
 * vector's size.
 */
const scratch = new Float32Array(partElements)

/** The mean that is being made: nobody keeps it but encoded. */
const mean = new Float32Array(partElements)

/**
 * What rounding may add to a sum of updates at their limit: 10,000 additions in f32 come to 6e-4 of it.
 */
const sumSlack = 1e-3

/**
 * Largest absolute value in a mean: updates at their limit, with what their sums' rounding and the codec's add. The
 * coarsest scale, that of `int4`, is rounded up by at most a 128th.
 */
const meanMagnitudeMax = 1.01 * updateMagnitudeMax

/** The weighted sum of `inputs` (at least one), each an encoding of `length` elements; borrowed. */
export function sumRow(codec: Codec, length: number, inputs: readonly ReductionInput[]): RowReduction {
  const sum = new Float32Array(length)
  const values = scratch.subarray(0, length)
  const invalid: number[] = []
  inputs.forEach(({ bytes, weight }, index) => {
    if (!decodePart(codec, bytes, values)) {
      invalid.push(index)
      return
    }
    addWeighted(sum, values, weight)
  })
  return invalid.length > 0 ? { kind: 'invalid', inputs: invalid } : { kind: 'reduced', sum }
}

/**
 * The encoded mean of the rows' `sums` (at least one, f32 of one length; borrowed), which together weigh `weight` > 0.
 */
export function finishPart(codec: Codec, sums: readonly Float32Array[], weight: number): Uint8Array {
  const [first, ...rest] = sums
  const total = mean.subarray(0, first!.length)
  total.set(first!)
  for (const sum of rest) addWeighted(total, sum, 1)
  inStrips(total, (_, count) => arithmetic.divide(count, weight))
  return codec.encodeMean(total)
}

function addWeighted(sum: Float32Array, values: Float32Array, weight: number): void {
  inStrips(sum, (start, count) => {
    arithmetic.values.set(values.subarray(start, start + count))
    arithmetic.addWeighted(count, weight)
  })
}

/** Changes `sum` strip by strip: what `change` makes of the arithmetic's own sums. */
function inStrips(sum: Float32Array, change: (start: number, count: number) => void): void {
  for (let start = 0; start < sum.length; start += stripElements) {
    const count = Math.min(stripElements, sum.length - start)
    arithmetic.sums.set(sum.subarray(start, start + count))
    change(start, count)
    sum.set(arithmetic.sums.subarray(0, count), start)
  }
}

/** Both steps for a run of one row: the encoded mean of `inputs` (at least one). */
export function reducePart(
  codec: Codec,
  length: number,
  inputs: readonly ReductionInput[],
): { kind: 'reduced'; bytes: Uint8Array } | Extract<RowReduction, { kind: 'invalid' }> {
  const reduction = sumRow(codec, length, inputs)
  if (reduction.kind === 'invalid') return reduction
  const weight = inputs.reduce((sum, input) => sum + input.weight, 0)
  return { kind: 'reduced', bytes: finishPart(codec, [reduction.sum], weight) }
}

/** Decodes one part into `values`; false when it is no encoding or passes `updateMagnitudeMax`. */
export function decodePart(codec: Codec, bytes: Uint8Array, values: Float32Array): boolean {
  return isEncoding(() => decodeWithin(codec, bytes, values, updateMagnitudeMax))
}

/** True when {@link decodePart} will be, of `length` elements; `bytes` are decoded only where nothing else tells. */
export function isPart(codec: Codec, bytes: Uint8Array, length: number): boolean {
  return isBounded(codec, bytes, length, updateMagnitudeMax)
}

/** True when `bytes` are an encoding of `length` elements that can be a mean of updates. */
export function isMean(codec: Codec, bytes: Uint8Array, length: number): boolean {
  return isBounded(codec, bytes, length, meanMagnitudeMax)
}

function isBounded(codec: Codec, bytes: Uint8Array, length: number, magnitudeMax: number): boolean {
  return isEncoding(
    () =>
      (codec.bound(bytes, length) ?? Number.POSITIVE_INFINITY) <= magnitudeMax ||
      decodeWithin(codec, bytes, scratch.subarray(0, length), magnitudeMax),
  )
}

/** @throws {SwarmError} PART_INVALID when `bytes` are no encoding. */
function decodeWithin(codec: Codec, bytes: Uint8Array, values: Float32Array, magnitudeMax: number): boolean {
  const most = codec.decode(bytes, values)
  return most <= magnitudeMax || isWithin(values, magnitudeMax)
}

/** What `look` finds; false when it meets bytes that are no encoding. */
function isEncoding(look: () => boolean): boolean {
  try {
    return look()
  } catch (error) {
    if (hasCode(error, 'PART_INVALID')) return false
    throw error
  }
}

/**
 * The f32 of a row's sum in `bytes`, copied; undefined when they are not `length` values that updates of `weight` in all
 * can sum up to. So no sum of such sums overflows, and their mean is one that every peer takes.
 */
export function decodeSum(bytes: Uint8Array, length: number, weight: number): Float32Array | undefined {
  if (bytes.length !== 4 * length) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const sum = Float32Array.from({ length }, (_, i) => view.getFloat32(4 * i, true))
  return isWithin(sum, updateMagnitudeMax * weight * (1 + sumSlack)) ? sum : undefined
}

/** f32 little-endian. */
export function encodeSum(sum: Float32Array): Uint8Array {
  const bytes = new Uint8Array(4 * sum.length)
  const view = new DataView(bytes.buffer)
  for (let i = 0; i < sum.length; i++) view.setFloat32(4 * i, sum[i]!, true)
  return bytes
}
