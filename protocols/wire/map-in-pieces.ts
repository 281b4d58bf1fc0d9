/**
 * A dag-cbor map whose one long byte string is not copied: what comes before it, the byte string itself, and what comes
 * after, to be sent one after another.
 *
 *     map(n) ‖ entries before ‖ name ‖ bytes(length)   │   value   │   entries after
 *
 * dag-cbor writes entries in the order of their names, the shorter first, and a map is its head and then its entries
 * (RFC 8949, section 3.1): the entries on either side are those of smaller maps without their heads.
 */

import { encode } from '@ipld/dag-cbor'

type Entries = Readonly<Record<string, unknown>>

/** Entries of a map whose head is one byte (RFC 8949, section 3). */
const entriesMax = 23

/**
 * The bytes of `encode({ ...others, [name]: value })` in three pieces, of which the second is `value` itself, borrowed.
 * `others` has at most 22 entries, and none called `name`.
 */
export function mapInPieces(others: Entries, name: string, value: Uint8Array): Uint8Array[] {
  const count = Object.keys(others).length + 1
  if (count > entriesMax) throw new RangeError(`a map of ${count} entries has a head of several bytes`)
  const before = entriesOf(others, (other) => isBefore(other, name))
  const after = entriesOf(others, (other) => !isBefore(other, name))
  return [
    Uint8Array.of(0xa0 | count, ...before, ...encode(name), ...byteStringHead(value.length)),
    value,
    after,
  ]
}

/** The entries that are wanted, in their order, without the head of a map. */
function entriesOf(entries: Entries, isWanted: (name: string) => boolean): Uint8Array {
  return encode(Object.fromEntries(Object.entries(entries).filter(([name]) => isWanted(name)))).subarray(1)
}

/** The order of names in dag-cbor; they are ASCII here, whose characters order as their bytes do. */
function isBefore(a: string, b: string): boolean {
  return a.length === b.length ? a < b : a.length < b.length
}

/** Major type 2 and a length, in the shortest of its forms (RFC 8949, sections 3 and 4.2.1). */
function byteStringHead(length: number): number[] {
  if (length < 24) return [0x40 | length]
  if (length < 0x100) return [0x58, length]
  if (length < 0x10000) return [0x59, length >> 8, length & 0xff]
  return [0x5a, length >>> 24, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff]
}
