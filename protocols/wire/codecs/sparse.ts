/**
 * Coding `sparse`: the values of a mean of `topk` updates, four bits each, where they are not zero.
 *
 *     for each chunk of 4,096:   count u16 ‖ scale bfloat16 ‖ places ‖ two q to a byte, the first in the low half  (little-endian)
 *     x ≈ scale · q,   q from −7 to 7 as 4-bit two's complement, rounded half to even,   scale = the chunk's largest / 7
 *
 * A mean of M updates has up to M · 64 values in a chunk; at most 512 are kept, the largest. What is dropped, by that
 * or by rounding to zero, is not lost: a zero in the mean tells each sender that its value there was not applied, and
 * it keeps that value for its next update (protocols/run/residual.ts). So the mean depends on nothing but the updates
 * in it, and can be checked by anybody, where a reducer with an error memory of its own could not.
 *
 * Error of a kept value: at most half a scale, 1/14 of the chunk's largest. At most 0.19 bytes a value, however many
 * peers.
 */

import { SwarmError } from '../../core/errors.ts'
import { chunked } from './chunked.ts'
import type { Coding } from './codec.ts'
import { chunkElements, positionBytes, readPositions, writePositions } from './positions.ts'
import { isScale, roundingShift, scaleBits, scaleOf, wrongLength } from './quantum.ts'

/**
 * Values of one chunk: eight peers' updates have 483 different places on average, where 64 of 4,096 each are chosen by
 * chance.
 */
const keptMax = 512

const quantumMax = 7

/** Largest magnitude that four bits can hold. */
const nibbleMax = 8

const headerBytes = 2 + 2

/** Scratch of one chunk. */
const places = new Uint16Array(chunkElements)

const chunkBytes = (count: number, length: number) =>
  headerBytes + positionBytes(count, length) + Math.ceil(count / 2)

export const sparse: Coding = chunked({
  name: 'sparse',
  keptOf: (length) => Math.min(keptMax, length),
  chunkBytes,
  places,
  encodeChunk,
  decodeChunk,
})

/** Writes the values at the first `count` of `places` that do not round to zero. @returns bytes written. */
function encodeChunk(chunk: Float32Array, count: number, bytes: Uint8Array, offset: number): number {
  let largest = 0
  for (let i = 0; i < count; i++) largest = Math.max(largest, Math.abs(chunk[places[i]!]!))
  const scaled = scaleBits(largest / quantumMax)
  const scale = scaleOf(scaled)
  if (!isScale(scale, nibbleMax))
    throw new SwarmError('PART_INVALID', `an element of ${largest} is too large for sparse`)
  const inverse = scale === 0 ? 0 : 1 / scale
  let kept = 0
  for (let i = 0; i < count; i++) {
    if (quantumOf(chunk[places[i]!]! * inverse) !== 0) places[kept++] = places[i]!
  }
  const view = new DataView(bytes.buffer, offset)
  view.setUint16(0, kept, true)
  view.setUint16(2, scaled, true)
  writePositions(places, kept, chunk.length, bytes, offset + headerBytes)
  const nibbles = offset + headerBytes + positionBytes(kept, chunk.length)
  for (let i = 0; i < kept; i++)
    bytes[nibbles + (i >> 1)]! |= (quantumOf(chunk[places[i]!]! * inverse) & 0xf) << (4 * (i & 1))
  return chunkBytes(kept, chunk.length)
}

function quantumOf(scaled: number): number {
  return scaled + roundingShift - roundingShift
}

/** Adds one chunk's values to `chunk`, which is zeros. @returns bytes read. */
function decodeChunk(bytes: Uint8Array, offset: number, chunk: Float32Array): number {
  if (offset + headerBytes > bytes.length) throw wrongLength('sparse', bytes.length, chunk.length)
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset)
  const count = view.getUint16(0, true)
  const scale = scaleOf(view.getUint16(2, true))
  if (count > Math.min(keptMax, chunk.length))
    throw new SwarmError('PART_INVALID', `${count} values of a chunk`)
  if (!isScale(scale, nibbleMax)) throw new SwarmError('PART_INVALID', `the scale of a chunk is ${scale}`)
  const length = chunkBytes(count, chunk.length)
  if (offset + length > bytes.length) throw wrongLength('sparse', bytes.length, chunk.length)
  readPositions(bytes, offset + headerBytes, count, chunk.length, places)
  const nibbles = offset + headerBytes + positionBytes(count, chunk.length)
  for (let i = 0; i < count; i++) {
    const pair = bytes[nibbles + (i >> 1)]!
    chunk[places[i]!] = scale * (i & 1 ? (pair << 24) >> 28 : (pair << 28) >> 28)
  }
  return length
}
