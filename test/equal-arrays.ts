/**
 * Makes `toEqual` on two numeric arrays of the same bytes quick. Vitest walks arrays element by element and notes each
 * on its way, two seconds for the gradient of a million parameters; nothing else changes: arrays whose bytes differ are
 * left to it, with its report.
 */
import { expect } from 'vitest'

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  Buffer.from(buffer, byteOffset, byteLength)

/** True where both are arrays of one type and the same bytes; undefined: somebody else decides. */
function haveSameBytes(one: unknown, other: unknown): true | undefined {
  if (!ArrayBuffer.isView(one) || !ArrayBuffer.isView(other)) return undefined
  if (Object.getPrototypeOf(one) !== Object.getPrototypeOf(other)) return undefined
  return bytesOf(one).equals(bytesOf(other)) ? true : undefined
}

expect.addEqualityTesters([haveSameBytes])
