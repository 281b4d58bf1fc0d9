/**
 * Chance as an argument. One generator, `sfc32` (Chris Doty-Humphrey's Small Fast Counting generator, 128-bit state;
 * passes PractRand), seeded by `splitmix32` so that neighbouring seeds give unrelated streams. Not for secrets.
 */

export interface Random {
  /** Uniform in [0, 1), 32 bits of resolution. */
  next(): number
  /** Uniform integer in [0, bound); `bound` from 1 to 2^32. */
  integer(bound: number): number
  /** Standard normal, by the Box-Muller transform. */
  normal(): number
}

/** A generator that gives the same stream for the same `seed` (any 32-bit integer) on every platform. */
export function seededRandom(seed: number): Random {
  const split = splitmix32(seed)
  let a = split()
  let b = split()
  let c = split()
  let counter = 1
  const next32 = (): number => {
    const result = (a + b + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + result
    return result >>> 0
  }
  for (let i = 0; i < 12; i++) next32() // the author's warm-up: mixes the seed through all of the state
  const next = (): number => next32() / 2 ** 32
  return {
    next,
    integer: (bound) => Math.floor(next() * bound),
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  }
}

/** Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (2014), the 32-bit variant. */
function splitmix32(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x9e3779b9) | 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) | 0
  }
}

/** A 32-bit seed from parts that together name a purpose (FNV-1a over their text): `seedFrom(job, round, 'batch')`. */
export function seedFrom(...parts: readonly (string | number)[]): number {
  let hash = 0x811c9dc5
  for (const character of parts.join('\u0000')) {
    hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193)
  }
  return hash | 0
}
