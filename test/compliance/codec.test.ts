/** One suite for every codec: error bounds, worst inputs, and bytes that came from somebody else. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SwarmError } from '../../protocols/core/errors.ts'
import { seededRandom } from '../../protocols/core/random.ts'
import type { Codec, CodecName } from '../../protocols/wire/codecs/codec.ts'
import { codecFor, codecNames } from '../../protocols/wire/codecs/index.ts'

/** Largest error of one value, given the largest absolute value within its block of 256. */
const errorBound: { [Name in CodecName]: (largest: number) => number } = {
  f32: () => 0,
  // Half a scale, rounding of the scale and of the product, and blocks that are too small to have a scale.
  int8: (largest) => (largest / 127) * (0.5 + 1e-4) + 1.5e-36,
}

/** Bytes of a known input, to be changed only with the protocol's version. */
const golden: { [Name in CodecName]: string } = {
  f32: '0000803f 000000c0 00000000 0000403e',
  int8: '0402813c 40 81 00 0c',
}

const lengths = [1, 2, 255, 256, 257, 1000]

function decoded(codec: Codec, bytes: Uint8Array, length: number): Float32Array {
  const values = new Float32Array(length)
  codec.decode(bytes, values)
  return values
}

function expectWithinBound(codec: Codec, values: Float32Array): void {
  const bytes = codec.encode(values)
  expect(bytes.length).toBe(codec.encodedBytes(values.length))
  const back = decoded(codec, bytes, values.length)
  for (let start = 0; start < values.length; start += 256) {
    const block = values.subarray(start, start + 256)
    const bound = errorBound[codec.name](
      block.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0),
    )
    block.forEach((value, i) => {
      if (!(Math.abs(back[start + i]! - value) <= bound))
        expect.fail(`${value} became ${back[start + i]}, bound ${bound}`)
    })
  }
}

describe.each(codecNames)('codec %s', (name) => {
  const codec = codecFor(name)

  test('decodes what it encodes, within its error bound', () => {
    const random = seededRandom(1)
    for (const length of lengths) {
      expectWithinBound(
        codec,
        Float32Array.from({ length }, () => random.normal() * 10 ** (6 * random.next() - 3)),
      )
    }
  })

  test('the worst inputs stay within the bound: zeros, denormals, one huge value, alternating signs', () => {
    for (const length of lengths) {
      expectWithinBound(codec, new Float32Array(length))
      expectWithinBound(codec, new Float32Array(length).fill(2 ** -149))
      expectWithinBound(codec, new Float32Array(length).fill(-(2 ** -120)))
      expectWithinBound(codec, new Float32Array(length).fill(1e-3).fill(1e25, 0, 1))
      expectWithinBound(
        codec,
        Float32Array.from({ length }, (_, i) => (i % 2 === 0 ? 1 : -1)),
      )
    }
  })

  test('any finite values within what an update may hold', () => {
    const value = fc.float({ min: -Math.fround(9e24), max: Math.fround(9e24), noNaN: true })
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 600 }), (values) => {
        expectWithinBound(codec, Float32Array.from(values))
      }),
    )
  })

  test('encoding what was decoded gives the same bytes: a mean is not coded twice differently', () => {
    const random = seededRandom(2)
    const bytes = codec.encode(Float32Array.from({ length: 700 }, () => random.normal()))
    expect(codec.encode(decoded(codec, bytes, 700))).toEqual(bytes)
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'refuses to encode %d',
    (bad) => {
      expect(codeOf(() => codec.encode(Float32Array.of(0, bad)))).toBe('PART_INVALID')
    },
  )

  test('refuses truncated and odd lengths', () => {
    const bytes = codec.encode(new Float32Array(300).fill(1))
    for (const wrong of [0, 1, bytes.length - 1, bytes.length + 1, 2 * bytes.length])
      expect(codeOf(() => decoded(codec, new Uint8Array(wrong), 300))).toBe('PART_INVALID')
  })

  test('mutated bytes give finite values or a code', () => {
    const random = seededRandom(3)
    const bytes = codec.encode(Float32Array.from({ length: 300 }, () => random.normal()))
    let refused = 0
    for (let i = 0; i < 5000; i++) {
      const mutated = bytes.slice()
      mutated[random.integer(bytes.length)] = random.integer(256)
      mutated[random.integer(8)] = random.integer(256)
      const code = codeOf(() => {
        const values = decoded(codec, mutated, 300)
        if (!values.every(Number.isFinite)) throw new Error('not finite')
      })
      if (code !== undefined) refused++
      expect(code === undefined || code === 'PART_INVALID', code).toBe(true)
    }
    expect(refused).toBeGreaterThan(0)
  })

  test('works on a view that starts at an odd byte', () => {
    const values = Float32Array.of(1, -2, 3)
    const bytes = codec.encode(values)
    const shifted = new Uint8Array(bytes.length + 1)
    shifted.set(bytes, 1)
    expect(decoded(codec, shifted.subarray(1), 3)).toEqual(decoded(codec, bytes, 3))
  })

  test('golden bytes of 1, −2, 0, 0.1875', () => {
    const hex = golden[name].replaceAll(' ', '')
    expect(Buffer.from(codec.encode(Float32Array.of(1, -2, 0, 0.1875))).toString('hex')).toBe(hex)
  })
})

test('int8 rounds half to even', () => {
  const int8 = codecFor('int8')
  const quanta = int8.encode(Float32Array.of(127, 0.5, 1.5, 2.5, -0.5, -1.5)).subarray(4)
  expect([...new Int8Array(quanta.slice().buffer)]).toEqual([127, 0, 2, 2, 0, -2])
})

test('an unknown codec is named in the error', () => {
  expect(() => codecFor('f64')).toThrow('unknown codec "f64"')
  expect(() => codecFor('toString')).toThrow('unknown codec')
})

function codeOf(run: () => unknown): string | undefined {
  try {
    run()
  } catch (error) {
    return error instanceof SwarmError ? error.code : String(error)
  }
  return undefined
}
