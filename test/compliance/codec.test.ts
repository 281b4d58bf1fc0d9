/** One suite for every coding: error bounds, worst inputs, exact lengths, and bytes that came from somebody else. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SwarmError } from '../../protocols/core/errors.ts'
import { seededRandom } from '../../protocols/core/random.ts'
import type { Codec, Coding, CodingName } from '../../protocols/wire/codecs/codec.ts'
import { codecFor, codecNames, codingFor } from '../../protocols/wire/codecs/index.ts'
import { int4 } from '../../protocols/wire/codecs/int4.ts'
import { int8 } from '../../protocols/wire/codecs/int8.ts'
import { plainArithmetic } from '../../protocols/wire/codecs/plain-arithmetic.ts'

/** The codings whose loops run as vectors, without those. */
const plain: { [Name in CodingName]?: Coding } = {
  int8: int8(plainArithmetic()),
  int4: int4(plainArithmetic()),
}

interface Expectation {
  /** Values that share a scale. */
  block: number
  /** Largest error of each value of `block`, whose magnitudes are `sizes`, ascending. */
  bound(sizes: Float32Array): (value: number) => number
  /** Bytes of 1, −2, 0, 0.1875: to be changed only with the protocol's version. */
  golden: string
  /** Bytes of a whole part, 65,536 values that are all different from zero; sparse codings say the most. */
  partBytes: number
}

/** What is left of a magnitude below the smallest that a scale can be written for. */
const tiny = 2 ** -110

const expectations: { [Name in CodingName]: Expectation } = {
  f32: {
    block: 256,
    bound: () => () => 0,
    golden: '0000803f 000000c0 00000000 0000403e',
    partBytes: 262_144,
  },
  f16: {
    block: 4096,
    bound: (sizes) => (value) => Math.max(2 ** -11 * Math.abs(value), 2 ** -39 * sizes.at(-1)!) + tiny,
    golden: '00000039 0070 00f4 0000 0066',
    partBytes: 131_136,
  },
  int8: {
    block: 256,
    // half a scale, and the rounding of the scale and of the product
    bound: (sizes) => () => (sizes.at(-1)! / 127) * (0.5 + 1e-4) + tiny,
    golden: '0402813c 40 81 00 0c',
    partBytes: 66_560,
  },
  int4: {
    block: 64,
    // half a scale, which was rounded up by less than 2^−7 of itself
    bound: (sizes) => () => (sizes.at(-1)! / 14) * (1 + 2 ** -7 + 1e-6) + tiny,
    golden: '933e 93 10',
    partBytes: 34_816,
  },
  topk: {
    block: 4096,
    bound: (sizes) => {
      const kept = sizes.subarray(-Math.ceil((64 * sizes.length) / 4096)).filter((size) => size > 0)
      const least = kept[0] ?? 0
      const greatest = kept.at(-1) ?? 0
      const range = (greatest - least) / 2 + greatest * 2 ** -24
      // what is not sent is missing whole; what is sent is at most half the range of the sent ones away
      return (value) => (Math.abs(value) > least ? range : Math.max(range, Math.abs(value)))
    },
    golden: '0100 00000000 00000040 02 03',
    partBytes: 1952,
  },
  sparse: {
    block: 4096,
    bound: (sizes) => {
      const least = sizes.at(-Math.min(512, sizes.length))!
      const half = (sizes.at(-1)! / 14) * (1 + 2 ** -7 + 1e-6) + tiny
      return (value) => (Math.abs(value) > least ? half : Math.max(half, Math.abs(value)))
    },
    golden: '0300 933e 0b 93 01',
    partBytes: 16 * (4 + 512 + 256),
  },
}

const lengths = [1, 2, 63, 64, 65, 255, 257, 4095, 4096, 4097, 9001]

function decoded(
  coding: Pick<Coding, 'decode'> & Partial<Pick<Codec, 'bound'>>,
  bytes: Uint8Array,
  length: number,
): Float32Array {
  const values = new Float32Array(length).fill(Number.NaN)
  const most = coding.decode(bytes, values)
  expect(values.every((value) => Math.abs(value) <= most)).toBe(true)
  expect(most).toBeLessThan(Number.POSITIVE_INFINITY)
  expect(coding.bound?.(bytes, length) ?? most).toBe(most)
  return values
}

function expectWithinBound(coding: Coding, values: Float32Array): void {
  const bytes = coding.encode(values)
  expect(bytes.length).toBeLessThanOrEqual(coding.encodedBytes(values.length))
  const back = decoded(coding, bytes, values.length)
  expect(plain[coding.name]?.encode(values) ?? bytes).toEqual(bytes)
  expect(decoded(plain[coding.name] ?? coding, bytes, values.length)).toEqual(back)
  const { block: blockLength, bound } = expectations[coding.name]
  for (let start = 0; start < values.length; start += blockLength) {
    const block = values.subarray(start, start + blockLength)
    const boundOf = bound(block.map(Math.abs).sort())
    block.forEach((value, i) => {
      if (!(Math.abs(back[start + i]! - value) <= boundOf(value)))
        expect.fail(`${value} became ${back[start + i]}, bound ${boundOf(value)}`)
    })
  }
}

describe.each(Object.keys(expectations) as CodingName[])('coding %s', (name) => {
  const coding = codingFor(name)
  const { golden, partBytes } = expectations[name]

  test('decodes what it encodes, within its error bound', () => {
    const random = seededRandom(1)
    for (const length of lengths) {
      expectWithinBound(
        coding,
        Float32Array.from({ length }, () => random.normal() * 10 ** (6 * random.next() - 3)),
      )
    }
  })

  test('the worst inputs stay within the bound: zeros, denormals, one huge value, equal ones, heavy tails', () => {
    const random = seededRandom(4)
    for (const length of lengths) {
      const worst = [
        new Float32Array(length),
        new Float32Array(length).fill(2 ** -149),
        new Float32Array(length).fill(-(2 ** -120)),
        new Float32Array(length).fill(1e-3).fill(1e25, 0, 1),
        Float32Array.from({ length }, (_, i) => (i % 2 === 0 ? 1 : -1)),
        Float32Array.from({ length }, () => random.normal() / random.normal() ** 3),
      ]
      for (const values of worst) expectWithinBound(coding, values)
    }
  })

  test('any finite values within what an update may hold', () => {
    const value = fc.float({ min: -Math.fround(9e24), max: Math.fround(9e24), noNaN: true })
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 600 }), (values) => {
        expectWithinBound(coding, Float32Array.from(values))
      }),
    )
  })

  test('encoding what was decoded gives the same bytes: a mean is not coded twice differently', () => {
    const random = seededRandom(2)
    const bytes = coding.encode(Float32Array.from({ length: 5000 }, () => random.normal()))
    expect(coding.encode(decoded(coding, bytes, 5000))).toEqual(bytes)
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'refuses to encode %d',
    (bad) => {
      expect(codeOf(() => coding.encode(Float32Array.of(0, bad)))).toBe('PART_INVALID')
    },
  )

  test('refuses truncated and odd lengths', () => {
    const bytes = coding.encode(new Float32Array(300).fill(1))
    for (let length = 0; length < bytes.length; length += 1 + (length >> 4))
      expect(codeOf(() => decoded(coding, bytes.subarray(0, length), 300))).toBe('PART_INVALID')
    const longer = new Uint8Array(bytes.length + 1)
    longer.set(bytes)
    expect(codeOf(() => decoded(coding, longer, 300))).toBe('PART_INVALID')
  })

  test('mutated bytes give finite values or a code', () => {
    const random = seededRandom(3)
    const bytes = coding.encode(Float32Array.from({ length: 300 }, () => random.normal()))
    let refused = 0
    for (let i = 0; i < 5000; i++) {
      const mutated = bytes.slice()
      mutated[random.integer(bytes.length)] = random.integer(256)
      mutated[random.integer(8)] = random.integer(256)
      let largest = 0
      const code = codeOf(() => {
        const values = decoded(coding, mutated, 300)
        if (!values.every(Number.isFinite)) throw new Error('not finite')
        largest = Math.max(...values.map(Math.abs))
      })
      if (coding.bound !== undefined) {
        expect(codeOf(() => expect(coding.bound!(mutated, 300)).toBeGreaterThanOrEqual(largest))).toBe(code)
      }
      if (code !== undefined) refused++
      expect(code === undefined || code === 'PART_INVALID', code).toBe(true)
    }
    expect(refused).toBeGreaterThan(0)
  })

  test('works on a view that starts at an odd byte', () => {
    const values = Float32Array.of(1, -2, 3)
    const bytes = coding.encode(values)
    const shifted = new Uint8Array(bytes.length + 1)
    shifted.set(bytes, 1)
    expect(decoded(coding, shifted.subarray(1), 3)).toEqual(decoded(coding, bytes, 3))
  })

  test('a part takes as many bytes as its formula says', () => {
    const random = seededRandom(5)
    const part = Float32Array.from({ length: 1 << 16 }, () => random.normal())
    expect(coding.encodedBytes(part.length)).toBe(partBytes)
    const bytes = coding.encode(part).length
    // a normal chunk has no more than its 512 largest above a fourteenth of its largest
    expect(bytes).toBe(partBytes)
  })

  test('golden bytes of 1, −2, 0, 0.1875', () => {
    expect(Buffer.from(coding.encode(Float32Array.of(1, -2, 0, 0.1875))).toString('hex')).toBe(
      golden.replaceAll(' ', ''),
    )
  })
})

describe('a codec', () => {
  /** The first byte of an update and of a mean. */
  const ids: { [Name in (typeof codecNames)[number]]: [number, number] } = {
    f32: [1, 1],
    f16: [2, 2],
    int8: [3, 3],
    int4: [4, 4],
    topk: [5, 6],
  }

  test.each(codecNames)('%s writes the id of the coding in front', (name) => {
    const values = Float32Array.of(1, -2, 0, 0.1875)
    const codec = codecFor(name)
    expect([codec.encode(values)[0], codec.encodeMean(values)[0]]).toEqual(ids[name])
    expect(codec.encodeMean(values).length).toBeLessThanOrEqual(codec.encodedBytes(4))
  })

  test.each(codecNames)(
    '%s reads its own means and the updates of coarser ones, and refuses finer ones',
    (name) => {
      const values = Float32Array.of(1, -2, 0, 0.1875)
      const codec = codecFor(name)
      for (const [place, other] of codecNames.entries()) {
        const code = codeOf(() => decoded(codec, codecFor(other).encode(values), 4))
        expect(code, other).toBe(place < codecNames.indexOf(name) ? 'PART_INVALID' : undefined)
      }
      expect(decoded(codec, codec.encodeMean(values), 4)[1]).toBeCloseTo(-2, 1)
      expect(codeOf(() => decoded(codec, new Uint8Array(0), 4))).toBe('PART_INVALID')
    },
  )

  test('topk keeps as many values as the job says, and reads any number', () => {
    const random = seededRandom(6)
    const values = Float32Array.from({ length: 4096 }, () => random.normal())
    const dense = codecFor('topk', { kept: 256 })
    const back = decoded(codecFor('topk'), dense.encode(values), 4096)
    expect(back.filter((value) => value !== 0)).toHaveLength(256)
  })

  test('bytes of one element are what the design counts with', () => {
    const bytes = codecNames.map((name) => codecFor(name).bytesPerElement)
    expect(bytes.map((value) => Number(value.toFixed(3)))).toEqual([4, 2.001, 1.016, 0.531, 0.03])
  })
})

test.each([
  ['int8', 4, [127, 0.5, 1.5, 2.5, -0.5, -1.5]],
  ['int4', 2, [7, 0.5, 1.5, 2.5, -0.5, -1.5]],
] as const)('%s rounds half to even', (name, header, values) => {
  const back = decoded(codingFor(name), codingFor(name).encode(Float32Array.from(values)), values.length)
  expect(codingFor(name).encode(Float32Array.from(values)).length).toBeGreaterThan(header)
  expect([...back].map((value) => value + 0)).toEqual([values[0], 0, 2, 2, 0, -2])
})

test('topk chooses the largest magnitudes exactly, also where thousands are equal', () => {
  const random = seededRandom(7)
  for (const draw of [
    () => random.normal(),
    () => random.integer(3) - 1,
    () => random.integer(2) * 2 ** -149,
  ]) {
    const values = Float32Array.from({ length: 4096 }, draw)
    const back = decoded(codingFor('topk'), codingFor('topk').encode(values), 4096)
    const order = [...values.keys()].sort((a, b) => Math.abs(values[b]!) - Math.abs(values[a]!) || a - b)
    const chosen = order.slice(0, 64).filter((place) => values[place] !== 0)
    expect([...back.keys()].filter((place) => back[place] !== 0)).toEqual(chosen.sort((a, b) => a - b))
  }
})

test('a mean of topk updates costs at most 0.19 bytes a value, however many are in it', () => {
  const random = seededRandom(8)
  const sum = new Float32Array(1 << 16)
  const values = new Float32Array(1 << 16)
  for (let peer = 0; peer < 64; peer++) {
    codingFor('topk').decode(codingFor('topk').encode(values.map(() => random.normal())), values)
    for (let i = 0; i < sum.length; i++) sum[i]! += values[i]! / 64
  }
  expect(codingFor('sparse').encode(sum).length / sum.length).toBeLessThan(0.19)
})

test('an unknown codec is named in the error', () => {
  expect(() => codecFor('f64')).toThrow('unknown codec "f64"')
  expect(() => codecFor('toString')).toThrow('unknown codec')
  expect(() => codecFor('sparse')).toThrow('unknown codec')
})

function codeOf(run: () => unknown): string | undefined {
  try {
    run()
  } catch (error) {
    return error instanceof SwarmError ? error.code : String(error)
  }
  return undefined
}
