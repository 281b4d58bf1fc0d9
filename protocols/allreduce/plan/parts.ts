/**
 * Parts of a flat vector, bitmaps over contributors or parts, and the byte strings whose SHA-256 names a commit or a
 * result. Arithmetic only; hashing itself is the caller's.
 *
 *     result digest = SHA-256( planId 32 ‖ part u32 ‖ weight f64 ‖ bitmap length u16 ‖ bitmap ‖ encoded mean )
 *     commit digest = SHA-256( incarnation f64 ‖ weight f64 ‖ part digests 32 each )        (numbers little-endian)
 */

import { SwarmError } from '../../core/errors.ts'
import { fromHex } from '../../core/fields.ts'
import { partElements, rowPeersMax, updateMagnitudeMax } from '../../core/limits.ts'
import type { Codec } from '../../wire/codecs/codec.ts'
import { isWithin } from '../../wire/codecs/magnitude.ts'

/** How a vector of `elements` is cut. Every part but the last has `partElements`. */
export interface Partition {
  elements: number
  /** Elements of one part, > 0. */
  partElements: number
}

/**
 * Parts that a vector is cut into when larger ones would do as well: two for each peer of a full row, so that shares in
 * whole parts come within half a part of what each peer can carry. A small vector as one part would be all one peer's
 * load.
 */
const partsWanted = 2 * rowPeersMax

/**
 * Parts are whole grains: the block that one int8 scale covers. Smaller ones would spend more on scales and envelopes.
 */
const grainElements = 256

/**
 * The cut of a vector of `elements`, > 0: the same on every peer of a job, as it is part of what a part number means.
 */
export function partitionOf(elements: number): Partition {
  const wanted = Math.ceil(elements / partsWanted / grainElements) * grainElements
  return { elements, partElements: Math.min(partElements, wanted) }
}

/** Parts of the vector. */
export function partCount({ elements, partElements }: Partition): number {
  return Math.ceil(elements / partElements)
}

/** Elements of part `part`. */
export function partLength({ elements, partElements }: Partition, part: number): number {
  return Math.min(partElements, elements - part * partElements)
}

/** Part `part` of `vector`, a view. */
export function partOf(vector: Float32Array, partition: Partition, part: number): Float32Array {
  const start = part * partition.partElements
  return vector.subarray(start, start + partLength(partition, part))
}

/**
 * The encoded parts of `update` (f32[elements], borrowed).
 * @throws {SwarmError} PART_INVALID when a value is not finite or passes `updateMagnitudeMax`.
 */
export function encodeParts(update: Float32Array, partition: Partition, codec: Codec): Uint8Array[] {
  requireBounded(update)
  return Array.from({ length: partCount(partition) }, (_, part) =>
    codec.encode(partOf(update, partition, part)),
  )
}

/** Encoded parts by their numbers; a list is one. */
export interface Parts {
  /**
   * Part `part`; in `into` if it is given and the part has to be made, so that looking at all of them leaves no vector
   * of garbage.
   */
  at(part: number, into?: Uint8Array): Uint8Array | undefined
}

/**
 * The encoded parts of `update` (f32[elements]; must not change as long as they are asked for), in as little memory as
 * they take: those of `f32` would be the whole update a second time, and are a mere copy of it, so they are made
 * whenever they are asked for. Others are kept.
 * @throws {SwarmError} PART_INVALID as `encodeParts`.
 */
export function partsOfUpdate(update: Float32Array, partition: Partition, codec: Codec): Parts {
  if (codec.name !== 'f32') return encodeParts(update, partition, codec)
  requireBounded(update)
  const count = partCount(partition)
  return {
    at: (part, into) => (part < count ? codec.encode(partOf(update, partition, part), into) : undefined),
  }
}

function requireBounded(update: Float32Array): void {
  if (isWithin(update, updateMagnitudeMax)) return
  const index = update.findIndex((value) => !(Math.abs(value) <= updateMagnitudeMax))
  throw new SwarmError('PART_INVALID', `element ${index} of the update is ${update[index]}`, {
    hint: 'Lower the learning rate: the training diverged on this peer.',
  })
}

/**
 * Makes `residual` (f32[elements]) what `parts`, the encoding of `update`, does not hold of it. Both may be one array.
 */
export function subtractSent(
  update: Float32Array,
  parts: readonly Uint8Array[],
  { partition, codec }: { partition: Partition; codec: Codec },
  residual: Float32Array,
): void {
  const sent = new Float32Array(partLength(partition, 0))
  for (const [part, bytes] of parts.entries()) {
    const values = sent.subarray(0, partLength(partition, part))
    codec.decode(bytes, values)
    const start = part * partition.partElements
    for (let i = 0; i < values.length; i++) residual[start + i] = update[start + i]! - values[i]!
  }
}

/** An empty bitmap for `count` places. */
export function newBitmap(count: number): Uint8Array {
  return new Uint8Array(Math.ceil(count / 8))
}

/** Sets place `index` of `bitmap`. */
export function setBit(bitmap: Uint8Array, index: number): void {
  bitmap[index >> 3]! |= 1 << (index & 7)
}

/** True when place `index` of `bitmap` is set; places past its end are not. */
export function hasBit(bitmap: Uint8Array, index: number): boolean {
  return ((bitmap[index >> 3] ?? 0) & (1 << (index & 7))) !== 0
}

/** How many of the first `count` places of `bitmap` are set. */
export function bitCount(bitmap: Uint8Array, count: number): number {
  let set = 0
  for (let index = 0; index < count; index++) if (hasBit(bitmap, index)) set++
  return set
}

/** What `resultIdentity` returned last: it is hashed at once, and as long as the part itself. */
let identityBuffer = new Uint8Array(0)

/** What the digest of one part's result covers: valid until the next call. */
export function resultIdentity(result: {
  planId: string
  part: number
  weight: number
  bitmap: Uint8Array
  bytes: Uint8Array
}): Uint8Array {
  const { planId, part, weight, bitmap, bytes } = result
  const length = 32 + 4 + 8 + 2 + bitmap.length + bytes.length
  if (identityBuffer.length < length) identityBuffer = new Uint8Array(length)
  const identity = identityBuffer.subarray(0, length)
  const view = new DataView(identity.buffer)
  identity.set(fromHex(planId))
  view.setUint32(32, part, true)
  view.setFloat64(36, weight, true)
  view.setUint16(44, bitmap.length, true)
  identity.set(bitmap, 46)
  identity.set(bytes, 46 + bitmap.length)
  return identity
}

/** Commits never change, and simulated peers share what one of them decoded. */
const commitDigests = new WeakMap<object, string>()

/** The digest that names `commit`; `hash`: SHA-256 as lower-case hex. */
export function commitDigestOf(
  commit: Parameters<typeof commitIdentity>[0],
  hash: (bytes: Uint8Array) => string,
): string {
  const known = commitDigests.get(commit)
  if (known !== undefined) return known
  const digest = hash(commitIdentity(commit))
  commitDigests.set(commit, digest)
  return digest
}

/** What the digest of a commit covers. */
export function commitIdentity(commit: {
  incarnation: number
  weight: number
  digests: readonly string[]
}): Uint8Array {
  const digests = fromHex(...commit.digests)
  const identity = new Uint8Array(16 + digests.length)
  const view = new DataView(identity.buffer)
  view.setFloat64(0, commit.incarnation, true)
  view.setFloat64(8, commit.weight, true)
  identity.set(digests, 16)
  return identity
}
