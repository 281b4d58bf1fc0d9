/** A file that two processes can make without sending it: pseudo-random bytes from a seed. */

import { seededRandom } from '../../../protocols/core/random.ts'

/** `size` bytes, the same for the same `seed`. */
export function fileBytes(seed: number, size: number): Uint8Array {
  const random = seededRandom(seed)
  const words = new Uint32Array(Math.ceil(size / 4))
  for (let i = 0; i < words.length; i++) words[i] = random.integer(2 ** 32)
  return new Uint8Array(words.buffer, 0, size)
}
