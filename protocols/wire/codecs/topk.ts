/**
 * Coding `topk`: of each chunk of 4,096 values the 64 largest, with two bits for each. For updates whose sender keeps
 * what was not sent and adds it to its next one (error feedback, protocols/run/residual.ts); without that it destroys a
 * training.
 *
 *     for each chunk:   count u16 ‖ low f32 ‖ high f32 ‖ places ‖ two bits a value, four to a byte         (little-endian)
 *     value = ±low or ±high:   bit 0 of the two bits says high, bit 1 negative
 *
 * `high` is the mean of the chosen magnitudes at or above the middle between the least and the greatest of them, `low`
 * that of the rest: one step of Lloyd's algorithm. Error of a chosen value: at most half of greatest less least; of any
 * other its own magnitude, which no chosen one's is under. 64 of 4,096: 0.030 bytes a value. SparseLoCo (Sarfi et al.
 * 2025) found this density, chunk and number of bits to train as well as dense updates.
 */

import { SwarmError } from '../../core/errors.ts'
import { chunked } from './chunked.ts'
import type { Coding } from './codec.ts'
import { chunkElements, positionBytes, readPositions, writePositions } from './positions.ts'
import { wrongLength } from './quantum.ts'

/** Values kept of each chunk unless the job says otherwise: 1.6 %. */
export const keptDefault = 64

/** Most that a job may keep, 1/8: above it `int4` costs little more, and needs no error feedback. */
export const keptMax = 512

const headerBytes = 2 + 4 + 4

/** Scratch of one chunk. */
const places = new Uint16Array(chunkElements)

const chunkBytes = (count: number, length: number) =>
  headerBytes + positionBytes(count, length) + Math.ceil(count / 4)

/**
 * The coding that keeps `kept` (1 to {@link keptMax}) values of each full chunk; it decodes what was coded with any
 * other.
 */
export function topk(kept: number): Coding {
  const keptOf = (length: number) => Math.ceil((kept * length) / chunkElements)
  return chunked({ name: 'topk', keptOf, chunkBytes, places, encodeChunk, decodeChunk })
}

/** Writes the values at the first `count` of `places`. @returns bytes written. */
function encodeChunk(chunk: Float32Array, count: number, bytes: Uint8Array, offset: number): number {
  const { low, high, middle } = levelsOf(chunk, count)
  const view = new DataView(bytes.buffer, offset)
  view.setUint16(0, count, true)
  view.setFloat32(2, low, true)
  view.setFloat32(6, high, true)
  writePositions(places, count, chunk.length, bytes, offset + headerBytes)
  const codes = offset + headerBytes + positionBytes(count, chunk.length)
  for (let i = 0; i < count; i++) {
    const value = chunk[places[i]!]!
    const code = (Math.abs(value) >= middle ? 1 : 0) | (value < 0 ? 2 : 0)
    bytes[codes + (i >> 2)]! |= code << (2 * (i & 3))
  }
  return chunkBytes(count, chunk.length)
}

/** The two magnitudes that stand for the chosen ones, as f64, and what divides them. */
function levelsOf(chunk: Float32Array, count: number): { low: number; high: number; middle: number } {
  let least = Number.POSITIVE_INFINITY
  let greatest = 0
  for (let i = 0; i < count; i++) {
    const size = Math.abs(chunk[places[i]!]!)
    least = Math.min(least, size)
    greatest = Math.max(greatest, size)
  }
  const middle = (least + greatest) / 2
  let lowSum = 0
  let highSum = 0
  let highCount = 0
  for (let i = 0; i < count; i++) {
    const size = Math.abs(chunk[places[i]!]!)
    if (size < middle) lowSum += size
    else {
      highSum += size
      highCount++
    }
  }
  const lowCount = count - highCount
  return {
    low: lowCount > 0 ? lowSum / lowCount : 0,
    high: highCount > 0 ? highSum / highCount : 0,
    middle,
  }
}

/** Adds one chunk's values to `chunk`, which is zeros. @returns bytes read. */
function decodeChunk(bytes: Uint8Array, offset: number, chunk: Float32Array): number {
  if (offset + headerBytes > bytes.length) throw wrongLength('topk', bytes.length, chunk.length)
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset)
  const count = view.getUint16(0, true)
  const low = view.getFloat32(2, true)
  const high = view.getFloat32(6, true)
  if (count > Math.min(keptMax, chunk.length))
    throw new SwarmError('PART_INVALID', `${count} values of a chunk`)
  if (!(low >= 0 && low < Number.POSITIVE_INFINITY) || !(high >= 0 && high < Number.POSITIVE_INFINITY))
    throw new SwarmError('PART_INVALID', `levels of a chunk are ${low} and ${high}`)
  const length = chunkBytes(count, chunk.length)
  if (offset + length > bytes.length) throw wrongLength('topk', bytes.length, chunk.length)
  readPositions(bytes, offset + headerBytes, count, chunk.length, places)
  const codes = offset + headerBytes + positionBytes(count, chunk.length)
  for (let i = 0; i < count; i++) {
    const code = bytes[codes + (i >> 2)]! >> (2 * (i & 3))
    const size = code & 1 ? high : low
    chunk[places[i]!] = code & 2 ? -size : size
  }
  return length
}
