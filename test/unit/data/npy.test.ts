/** Arrays of NumPy: the types that a step takes, and files that are none. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readNpy } from '../../../data/npy.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'
import { npyFile } from './npy-file.ts'

/** `numpy.save` of NumPy 2.4.6: [[1.5, -2], [0, 3e-3]] as float32. */
const saved = Buffer.from(
  '934e554d5059010076007b276465736372273a20273c6634272c2027666f727472616e5f6f72646572273a2046616c73652c20277368617065273a20' +
    `28322c2032292c207d${'20'.repeat(58)}0a0000c03f000000c000000000a69b443b`,
  'hex',
)

test('a file that NumPy wrote is read as it is', () => {
  expect(readNpy(saved)).toEqual({
    dtype: 'float32',
    shape: [2, 2],
    data: Float32Array.of(1.5, -2, 0, Math.fround(3e-3)),
  })
  expect(Buffer.from(npyFile('<f4', [2, 2], Float32Array.of(1.5, -2, 0, 3e-3)))).toEqual(saved)
})

test.each([
  ['<i4', Int32Array.of(7, -8), 'int32', Int32Array.of(7, -8)],
  ['<i8', BigInt64Array.of(2n ** 31n - 1n, -(2n ** 31n)), 'int32', Int32Array.of(2 ** 31 - 1, -(2 ** 31))],
  ['|u1', Uint8Array.of(0, 255), 'uint8', Uint8Array.of(0, 255)],
  ['|b1', Uint8Array.of(0, 1), 'uint8', Uint8Array.of(0, 1)],
  // the least subnormal number, and a third
  ['<f2', Uint16Array.of(1, 0x3555), 'float32', Float32Array.of(2 ** -24, 0.333251953125)],
])('values of type %s keep what they are', (type, values, dtype, data) => {
  expect(readNpy(npyFile(type, [2], values))).toEqual({ dtype, shape: [2], data })
})

test('numbers need not begin where their type would have them', () => {
  const file = npyFile('<f4', [3], Float32Array.of(1, 2, 3))
  for (const moved of [new Uint8Array(file.length + 1), Buffer.alloc(file.length + 1)]) {
    moved.set(file, 1)
    expect([...readNpy(moved.subarray(1)).data]).toEqual([1, 2, 3])
  }
})

describe('a file is refused', () => {
  const good = Float32Array.of(1, 2, 3, 4)
  const longHeader = npyFile('<f4', [4], good)
  longHeader[9] = 0xff
  test.each([
    ['that is something else', new TextEncoder().encode('PK or anything else'), 'no .npy file'],
    ['that ends within its header', npyFile('<f4', [4], good).subarray(0, 40), 'a header of 118 bytes'],
    ['with a header that has no end', longHeader, 'a header of 65398 bytes'],
    ['that is cut off', npyFile('<f4', [4], good).subarray(0, -1), '16 bytes, but holds 15'],
    ['with more than it says', npyFile('<f4', [3], good), '12 bytes, but holds 16'],
    ['in the order of columns', npyFile('<f4', [2, 2], good, { order: 'True' }), 'column by column'],
    ['of numbers that are too exact', npyFile('<f8', [2], good), 'type <f8'],
    ['of numbers with their high bytes first', npyFile('>f4', [4], good), 'type >f4'],
    ['of objects, which Python would have to run', npyFile('|O', [2], good), 'type |O'],
    ['of no samples', npyFile('<f4', [0, 4], good.subarray(0, 0)), 'the shape [0,4]'],
    ['of more dimensions than data has', npyFile('<f4', [4, 1, 1, 1, 1, 1], good), 'the shape [4,1,1,1,1,1]'],
    ['with a size that no memory has', npyFile('<f4', [1e15, 1e15], good), 'but holds 16'],
    ['with what is no number', npyFile('<f4', [2], Float32Array.of(0, Number.NaN)), 'NaN as its value 1'],
    ['with an infinity of 16 bits', npyFile('<f2', [1], Uint16Array.of(0x7c00)), 'Infinity as its value 0'],
    [
      'with an id of more than 32 bits',
      npyFile('<i8', [1], BigInt64Array.of(2n ** 31n)),
      'more than 32 bits',
    ],
  ])('%s', (_, file, message) => {
    expect(() => readNpy(file)).toThrow(
      expect.objectContaining({ code: 'DATA_INVALID', message: expect.stringContaining(message) }),
    )
  })

  test('or read, whichever of its bytes were changed', () => {
    const change = fc.tuple(fc.nat(saved.length - 1), fc.integer({ min: 0, max: 255 }))
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        const file = new Uint8Array(saved)
        for (const [index, byte] of changes) file[index] = byte
        try {
          const { shape, data } = readNpy(file)
          expect(data).toHaveLength(shape.reduce((product, size) => product * size, 1))
        } catch (error) {
          expect(error).toBeInstanceOf(SwarmError)
        }
      }),
      { numRuns: 1000 },
    )
  })
})
