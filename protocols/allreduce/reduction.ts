/**
 * The weighted mean of one part: Σ wᵢ · xᵢ / Σ wᵢ, summed in f32 in the order given, which is the plan's order and never
 * that of arrival, then encoded once. Every peer that has the same inputs gets the same bytes on every platform: plain
 * JavaScript arithmetic, rounded to f32 after each addition.
 */

import { SwarmError } from '../core/errors.ts'
import { updateMagnitudeMax } from '../core/limits.ts'
import type { Codec } from '../wire/codecs/codec.ts'

export interface ReductionInput {
  /** One contributor's encoded part. */
  bytes: Uint8Array
  /** Samples behind it, > 0. */
  weight: number
}

export type Reduction =
  /** The encoded mean. */
  | { kind: 'reduced'; bytes: Uint8Array }
  /** Indices of inputs that are no part: nothing was reduced. */
  | { kind: 'invalid'; inputs: number[] }

/** The mean of `inputs` (at least one), each an encoding of `length` elements; borrowed. */
export function reducePart(codec: Codec, length: number, inputs: readonly ReductionInput[]): Reduction {
  const sum = new Float32Array(length)
  const values = new Float32Array(length)
  const invalid: number[] = []
  let weights = 0
  inputs.forEach(({ bytes, weight }, index) => {
    if (!decodePart(codec, bytes, values)) {
      invalid.push(index)
      return
    }
    for (let i = 0; i < length; i++) sum[i]! += weight * values[i]!
    weights += weight
  })
  if (invalid.length > 0) return { kind: 'invalid', inputs: invalid }
  for (let i = 0; i < length; i++) sum[i]! /= weights
  return { kind: 'reduced', bytes: codec.encodeMean(sum) }
}

/** Decodes one part into `values`; false when it is no encoding or passes `updateMagnitudeMax`. */
export function decodePart(codec: Codec, bytes: Uint8Array, values: Float32Array): boolean {
  try {
    codec.decode(bytes, values)
  } catch (error) {
    if (error instanceof SwarmError && error.code === 'PART_INVALID') return false
    throw error
  }
  // A plain loop: `every` takes five times as long.
  for (let i = 0; i < values.length; i++) if (!(Math.abs(values[i]!) <= updateMagnitudeMax)) return false
  return true
}
