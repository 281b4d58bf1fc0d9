/** The codecs' loops by vectors and in plain JavaScript: not a bit of difference, whatever the values are. */

import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../protocols/core/random.ts'
import { blockElementsMin, putStrip, stripElements } from '../../../protocols/wire/codecs/block-arithmetic.ts'
import { moduleOf } from '../../../protocols/wire/codecs/flat-wat.ts'
import { plainArithmetic } from '../../../protocols/wire/codecs/plain-arithmetic.ts'
import { simdArithmetic } from '../../../protocols/wire/codecs/simd-arithmetic.ts'

const plain = plainArithmetic()
const simd = simdArithmetic()!
const random = seededRandom(1)

/** Any bits but those of infinity and NaN. */
const anyFinite = () => {
  const bits = random.integer(2 ** 31) * 2 + random.integer(2)
  return (bits & 0x7f800000) === 0x7f800000 ? 0 : bits
}

const strips: readonly (readonly [string, () => number])[] = [
  ['normal values', () => bitsOf(random.normal())],
  ['heavy tails', () => bitsOf(random.normal() / random.normal() ** 3)],
  ['halves, which round to even', () => bitsOf(random.integer(509) / 2 - 127)],
  ['zeros of both signs and subnormal numbers', () => [0, 0x80000000, 1, 0x807fffff][random.integer(4)]!],
  ['any finite bits', anyFinite],
]

const cell = new Float32Array(1)
const cellBits = new Uint32Array(cell.buffer)

function bitsOf(value: number): number {
  cell[0] = value
  return cellBits[0]!
}

/** The first `count` values of a memory by their bits, which tell a zero from its negative. */
function bitsIn(values: Float32Array, count: number): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, count).slice()
}

test('this engine has vectors', () => {
  expect(simdArithmetic()).toBeDefined()
})

describe.each(strips)('of %s', (_, draw) => {
  const source = Uint32Array.from({ length: stripElements }, draw)

  test.each([1, 63, 64, 65, 256, 257, 4095, 4096])('%i values', (count) => {
    for (const [blockElements, most, kind] of [
      [64, 7, 4],
      [256, 127, 8],
    ] as const) {
      for (const each of [plain, simd]) {
        putStrip(each, source, { start: 0, end: count, blockElements })
        each.findLargest(count, blockElements)
      }
      const blocks = Math.ceil(count / blockElements)
      expect(bitsIn(simd.largest, blocks)).toEqual(bitsIn(plain.largest, blocks))
      for (const each of [plain, simd]) {
        for (let block = 0; block < blocks; block++)
          each.factors[block] = plain.largest[block] === 0 ? 0 : most / plain.largest[block]!
        if (kind === 8) each.quantise8(count)
        else each.quantise4(count)
      }
      const bytes = Math.ceil((count * kind) / 8)
      expect(simd.quanta.slice(0, bytes)).toEqual(plain.quanta.slice(0, bytes))
    }
  })
})

test.each([
  ['scale8', 3 * 256 + 0x83, -125, 3],
  ['scale4', 2 * 0xc9 + 1, -4, 6],
] as const)('%s makes the same values of every bit pattern', (kind, place, quantum, block) => {
  const scale = () => Math.fround(2 ** (random.integer(240) - 126) * (1 + random.next()))
  const factors = Float64Array.from({ length: stripElements / blockElementsMin }, scale)
  factors[1] = 0
  for (const each of [plain, simd]) {
    each.quanta.set(Int8Array.from({ length: stripElements }, (_, i) => i))
    each.factors.set(factors)
    each[kind](stripElements)
    expect(each.values[place]).toBe(Math.fround(quantum * factors[block]!))
  }
  expect(bitsIn(simd.values, stripElements)).toEqual(bitsIn(plain.values, stripElements))
})

test.each([1, 3, 0.1, 1e9])(
  'sums with weight %d are rounded the same, subnormal and infinite ones too',
  (weight) => {
    const sums = Uint32Array.from({ length: stripElements }, anyFinite)
    const values = Uint32Array.from({ length: stripElements }, (_, i) =>
      i % 2 === 0 ? anyFinite() : sums[i]! ^ 0x80000000,
    )
    for (const each of [plain, simd]) {
      each.bits.set(values)
      each.sums.set(new Float32Array(sums.buffer))
      each.addWeighted(stripElements, weight)
    }
    expect(bitsIn(simd.sums, stripElements)).toEqual(bitsIn(plain.sums, stripElements))
    for (const each of [plain, simd]) each.divide(stripElements, 3 * weight)
    expect(bitsIn(simd.sums, stripElements)).toEqual(bitsIn(plain.sums, stripElements))
  },
)

test('a sum and a quotient are those of f64, rounded once to f32', () => {
  for (const each of [plain, simd]) {
    each.sums.fill(0.3)
    each.values.fill(0.7)
    each.addWeighted(20, 0.1)
    const sum = Math.fround(Math.fround(0.3) + 0.1 * Math.fround(0.7))
    expect([...each.sums.subarray(0, 20)]).toEqual(new Array(20).fill(sum))
    each.divide(20, 7)
    expect([...each.sums.subarray(0, 20)]).toEqual(new Array(20).fill(Math.fround(sum / 7)))
  }
})

test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
  '%d is the largest of its block and of no other',
  (bad) => {
    for (const each of [plain, simd]) {
      each.values.fill(1)
      each.values[64 + 37] = bad
      each.findLargest(192, 64)
      expect([...each.largest.subarray(0, 3)]).toEqual([1, Math.abs(bad), 1])
    }
  },
)

describe('source', () => {
  const doubled = { params: { at: 'i32' }, locals: { sum: 'i32' } } as const

  test('becomes a module that does what it says', () => {
    const body = `
      loop ;; adds 200 to what is at 8, until it is at least the argument
        i32.const 8  local.get $sum  i32.const 200  i32.add  local.tee $sum  i32.store offset=0
        local.get $sum  local.get $at  i32.lt_u  br_if 0
      end`
    const { exports } = new WebAssembly.Instance(
      new WebAssembly.Module(moduleOf({ count: { ...doubled, body } }, 1)),
    )
    const { count, memory } = exports as { count: (most: number) => void; memory: WebAssembly.Memory }
    count(70_001)
    expect(new Uint32Array(memory.buffer)[2]).toBe(70_200)
  })

  test.each([
    ['i32.multiply', 'instruction i32.multiply is known'],
    ['local.get $other', '$other is a local'],
  ])('%s is a bug', (body, message) => {
    expect(() => moduleOf({ wrong: { ...doubled, body } }, 1)).toThrow(message)
  })
})
