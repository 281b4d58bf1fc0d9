/** The codecs' loops in plain JavaScript, for engines that have no vectors of 128 bits. */

import {
  type BlockArithmetic,
  block4Elements,
  block8Elements,
  blockElementsMin,
  stripElements,
} from './block-arithmetic.ts'
import { roundingShift } from './quantum.ts'

/** With memory of its own. */
export function plainArithmetic(): BlockArithmetic {
  const values = new Float32Array(stripElements)
  const bits = new Uint32Array(values.buffer)
  const sums = new Float32Array(stripElements)
  const quanta = new Int8Array(stripElements)
  const factors = new Float64Array(stripElements / blockElementsMin)
  const largest = new Float32Array(factors.length)
  const largestBits = new Uint32Array(largest.buffer)
  return {
    values,
    bits,
    sums,
    quanta,
    factors,
    largest,

    findLargest(count, blockElements) {
      for (let start = 0, block = 0; start < count; start += blockElements, block++) {
        let most = 0
        for (let i = start; i < start + blockElements; i++) {
          // without the sign, bits are integers in the order of the magnitudes
          const magnitude = bits[i]! & 0x7fffffff
          if (magnitude > most) most = magnitude
        }
        largestBits[block] = most
      }
    },

    quantise8(count) {
      for (let i = 0; i < count; i++)
        quanta[i] = values[i]! * factors[(i / block8Elements) | 0]! + roundingShift - roundingShift
    },

    quantise4(count) {
      for (let i = 0; i < count; i += 2) {
        const factor = factors[(i / block4Elements) | 0]!
        const low = values[i]! * factor + roundingShift - roundingShift
        const high = values[i + 1]! * factor + roundingShift - roundingShift
        quanta[i >> 1] = (low & 0xf) | ((high & 0xf) << 4)
      }
    },

    scale8(count) {
      for (let i = 0; i < count; i++) values[i] = quanta[i]! * factors[(i / block8Elements) | 0]!
    },

    scale4(count) {
      for (let i = 0; i < count; i += 2) {
        const factor = factors[(i / block4Elements) | 0]!
        const pair = quanta[i >> 1]!
        values[i] = ((pair << 28) >> 28) * factor
        values[i + 1] = (pair >> 4) * factor
      }
    },

    addWeighted(count, weight) {
      for (let i = 0; i < count; i++) sums[i] = sums[i]! + weight * values[i]!
    },

    divide(count, by) {
      for (let i = 0; i < count; i++) sums[i]! /= by
    },
  }
}
