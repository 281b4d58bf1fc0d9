/**
 * Checked reading of the fields of one decoded message. What comes from a peer is `unknown` until it passed here; each
 * reader names the field and the value it refuses.
 */

import { SwarmError } from './errors.ts'
import { idCharactersMax } from './limits.ts'

/** Bytes of a SHA-256 digest. */
const digestBytes = 32

/** Milliseconds from the middle of the map of round trips: half a minute is more than any link that still works. */
const placeMax = 32_767

export class Fields {
  readonly #values: Readonly<Record<string, unknown>>

  /** @throws {SwarmError} MESSAGE_INVALID when `value` is not a map. */
  constructor(value: unknown) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Uint8Array)
      throw new SwarmError('MESSAGE_INVALID', `a message must be a map, not ${describe(value)}`)
    this.#values = value as Record<string, unknown>
  }

  /** True when the field is there and not null. */
  has(name: string): boolean {
    return this.#values[name] !== undefined && this.#values[name] !== null
  }

  /** An integer from 0 to `max`. */
  integer(name: string, max: number): number {
    const value = this.#values[name]
    if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > max)
      throw invalid(name, value, `an integer from 0 to ${max}`)
    return value as number
  }

  /** A finite number from 0 to `max`. */
  quantity(name: string, max: number): number {
    const value = this.#values[name]
    if (typeof value !== 'number' || !(value >= 0 && value <= max))
      throw invalid(name, value, `a number from 0 to ${max}`)
    return value
  }

  boolean(name: string): boolean {
    const value = this.#values[name]
    if (typeof value !== 'boolean') throw invalid(name, value, 'true or false')
    return value
  }

  /** A peer id or a root: text of 1 to 128 characters. */
  id(name: string): string {
    return asId(name, this.#values[name])
  }

  /** Bytes, at most `max` of them. The view is into the received frame. */
  bytes(name: string, max: number): Uint8Array {
    const value = this.#values[name]
    if (!(value instanceof Uint8Array) || value.byteLength > max)
      throw invalid(name, value, `at most ${max} bytes`)
    return value
  }

  /** A SHA-256 digest as lower-case hex. */
  digest(name: string): string {
    return asHex(name, this.bytes(name, digestBytes))
  }

  /** Digests that stand one after the other in one byte string, at most `countMax`. */
  digests(name: string, countMax: number): string[] {
    const all = this.bytes(name, countMax * digestBytes)
    if (all.byteLength % digestBytes !== 0) throw invalid(name, all, 'a whole number of digests')
    return Array.from({ length: all.byteLength / digestBytes }, (_, index) =>
      asHex(name, all.subarray(index * digestBytes, (index + 1) * digestBytes)),
    )
  }

  /** A list of at most `countMax` ids. */
  ids(name: string, countMax: number): string[] {
    return this.#list(name, countMax).map((value) => asId(name, value))
  }

  /** A list of at most `countMax` maps, each read by `read`. */
  list<T>(name: string, countMax: number, read: (fields: Fields) => T): T[] {
    return this.#list(name, countMax).map((value) => read(new Fields(value)))
  }

  /** A list of at most `countMax` integers from 0 to `max`. */
  integers(name: string, countMax: number, max: number): number[] {
    return this.#list(name, countMax).map((value) => new Fields({ [name]: value }).integer(name, max))
  }

  /** A list of at most `countMax` values that may be null, which is read as undefined. */
  optionals<T>(name: string, countMax: number, read: (fields: Fields) => T): (T | undefined)[] {
    return this.#list(name, countMax).map((value) =>
      value === null ? undefined : read(new Fields({ [name]: value })),
    )
  }

  /** A list of at most `countMax` ids, or empty texts. */
  texts(name: string, countMax: number): string[] {
    return this.#list(name, countMax).map((value) => (value === '' ? '' : asId(name, value)))
  }

  /** Two integers from -`placeMax` to `placeMax`. */
  place(name: string): readonly [number, number] {
    const value = this.#values[name]
    const isAxis = (x: unknown): x is number => Number.isInteger(x) && Math.abs(x as number) <= placeMax
    if (!Array.isArray(value) || value.length !== 2 || !isAxis(value[0]) || !isAxis(value[1]))
      throw invalid(name, value, `two integers from -${placeMax} to ${placeMax}`)
    return [value[0], value[1]]
  }

  /** A map inside the map. */
  nested(name: string): Fields {
    return new Fields(this.#values[name])
  }

  #list(name: string, countMax: number): unknown[] {
    const value = this.#values[name]
    if (!Array.isArray(value) || value.length > countMax)
      throw invalid(name, value, `a list of at most ${countMax}`)
    return value
  }
}

const hexDigits = new TextEncoder().encode('0123456789abcdef')
const asText = new TextDecoder()

/**
 * Lower-case hex of `bytes`. Decoded from its characters: a text that is put together digit by digit is a tree in the
 * engine's memory, of ten times the size and as much slower, and a round of many peers reads tens of thousands of
 * digests.
 */
export function toHex(bytes: Uint8Array): string {
  const hex = new Uint8Array(2 * bytes.length)
  for (let i = 0; i < bytes.length; i++) {
    hex[2 * i] = hexDigits[bytes[i]! >> 4]!
    hex[2 * i + 1] = hexDigits[bytes[i]! & 15]!
  }
  return asText.decode(hex)
}

/** Character code → the value of that lower-case hex digit. */
const nibbles = new Uint8Array(128)
for (let value = 0; value < 16; value++) nibbles[value.toString(16).charCodeAt(0)] = value

/** The bytes of digests in lower-case hex, one after the other. */
export function fromHex(...digests: readonly string[]): Uint8Array {
  const bytes = new Uint8Array(digests.length * digestBytes)
  let at = 0
  for (const digest of digests)
    for (let i = 0; i < 2 * digestBytes; i += 2)
      bytes[at++] = (nibbles[digest.charCodeAt(i)]! << 4) | nibbles[digest.charCodeAt(i + 1)]!
  return bytes
}

function asHex(name: string, bytes: Uint8Array): string {
  if (bytes.byteLength !== digestBytes) throw invalid(name, bytes, `a digest of ${digestBytes} bytes`)
  return toHex(bytes)
}

function asId(name: string, value: unknown): string {
  if (typeof value !== 'string' || value.length === 0 || value.length > idCharactersMax)
    throw invalid(name, value, `text of 1 to ${idCharactersMax} characters`)
  return value
}

function invalid(name: string, value: unknown, wanted: string): SwarmError {
  return new SwarmError('MESSAGE_INVALID', `field "${name}" must be ${wanted}, not ${describe(value)}`)
}

function describe(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'a map'
  return String(value).slice(0, 80)
}
