/** The twin of test/fixtures/families/generator.py, which has the formulas: the same numbers from the same seeds. */

/** Element `index` of the stream of `seed`: MurmurHash3's 32-bit finalizer, as an unsigned number. */
function hash(seed: number, index: number): number {
  let h = (seed + Math.imul(index, 0x9e3779b9)) | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** `count` numbers around `center`, at most `scale` away from it. */
export function drawReals(seed: number, center: number, scale: number, count: number): Float32Array {
  return Float32Array.from(
    { length: count },
    (_, index) => center + scale * (hash(seed, index) / 2 ** 31 - 1),
  )
}

/** `count` integers from 0 to `bound` - 1. */
export function drawIntegers(seed: number, bound: number, count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, index) => hash(seed, index) % bound)
}
