/**
 * The order of the samples: for each epoch another pseudo-random permutation of 0 … count − 1, computed point by point.
 *
 * Nothing is stored or shuffled, so a lease is only a range of positions and every peer finds its samples alone. The
 * permutation is a balanced Feistel network over the smallest even number of bits that holds `count`; results outside
 * are enciphered again until one is inside (*cycle walking*: Black and Rogaway, "Ciphers with Arbitrary Finite
 * Domains", CT-RSA 2002, section 3). That domain is less than four times `count`, so fewer than four turns are
 * expected.
 */

import { assert } from '../protocols/core/assert.ts'

/**
 * Luby and Rackoff (1988) need four rounds of perfect round functions. Ours is a 32-bit mixer on halves of a few bits,
 * and over six samples a chi-square test still sees four rounds (test/unit/data/sampler.test.ts); six pass, eight leave
 * room.
 */
const roundCount = 8

/**
 * The index of the sample at `position`. Positions 0 … count − 1 are the first epoch and meet every sample once, the
 * next `count` positions are the second epoch in another order, and so on.
 *
 * `seed`: any 32-bit integer; `count`: 1 … 2^32 − 1; `position`: 0 … 2^53 − 1.
 */
export function sampleAt(seed: number, count: number, position: number): number {
  assert(count >= 1 && count < 2 ** 32, `count ${count}`)
  assert(Number.isSafeInteger(position) && position >= 0, `position ${position}`)
  const epoch = Math.floor(position / count)
  const halfBits = Math.max(1, Math.ceil((32 - Math.clz32(count - 1)) / 2))
  const key = mix(mix(seed) ^ (epoch | 0) ^ Math.imul(Math.floor(epoch / 2 ** 32), 0x9e3779b9))
  let index = position - epoch * count
  do index = encipher(index, halfBits, key)
  while (index >= count)
  return index
}

/** One-to-one on 0 … 2^(2·halfBits) − 1. */
function encipher(value: number, halfBits: number, key: number): number {
  const mask = 2 ** halfBits - 1
  let left = (value >>> halfBits) & mask
  let right = value & mask
  for (let round = 0; round < roundCount; round++) {
    const next = left ^ (mix(right ^ Math.imul(key + round, 0x9e3779b9)) & mask)
    left = right
    right = next
  }
  return left * 2 ** halfBits + right
}

/** The 32-bit finalizer of MurmurHash3 (Appleby 2011): every bit of the input reaches every bit of the result. */
function mix(value: number): number {
  let hash = value | 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
