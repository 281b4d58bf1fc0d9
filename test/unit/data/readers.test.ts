import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { gunzip } from '../../../data/gzip.ts'
import { idxDataSet, readIdx } from '../../../data/idx.ts'
import { textDataSet } from '../../../data/text.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'

/** An IDX file of u8. */
function idx(shape: number[], values: number[], type = 8): Uint8Array {
  const sizes = shape.flatMap((size) => [size >>> 24, (size >>> 16) & 255, (size >>> 8) & 255, size & 255])
  return Uint8Array.from([0, 0, type, shape.length, ...sizes, ...values])
}

const utf8 = (text: string) => new TextEncoder().encode(text)

async function errorOf(promise: Promise<unknown>): Promise<SwarmError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(SwarmError)
  return error as SwarmError
}

describe('an IDX file', () => {
  test('gives its shape and values, gzipped or not', async () => {
    const file = idx([2, 1, 3], [1, 2, 3, 4, 5, 255])
    for (const bytes of [file, new Uint8Array(gzipSync(file))]) {
      expect(await readIdx(bytes)).toEqual({ shape: [2, 1, 3], data: Uint8Array.of(1, 2, 3, 4, 5, 255) })
    }
  })

  test('is refused with the reason when its header, type or length is wrong', async () => {
    const cases: [Uint8Array, RegExp][] = [
      [utf8('<!doctype html>'), /header/],
      [new Uint8Array(0), /header/],
      [idx([2], [1, 2]).subarray(0, 6), /header/],
      [idx([2], [1, 2], 0x0d), /type 13/],
      [idx([3], [1, 2]), /3 values, but holds 2/],
      [idx([2], [1, 2, 3]), /2 values, but holds 3/],
      [idx([0xffffffff, 0xffffffff], [1]), /but holds 1/],
    ]
    for (const [bytes, reason] of cases) {
      const error = await errorOf(readIdx(bytes))
      expect(error.code).toBe('DATA_INVALID')
      expect(error.message).toMatch(reason)
    }
  })

  test('makes a data set of four, with the largest label deciding the classes', async () => {
    const dataSet = await idxDataSet({
      trainImages: idx([2, 2, 2], [0, 1, 2, 3, 4, 5, 6, 7]),
      trainLabels: idx([2], [1, 0]),
      testImages: idx([1, 2, 2], [9, 9, 9, 9]),
      testLabels: idx([1], [4]),
    })
    expect(dataSet).toMatchObject({ kind: 'images', classes: 5 })
    expect(dataSet.train.count).toBe(2)
    expect(dataSet.train.fields.x.sampleShape).toEqual([2, 2])
    expect([...dataSet.train.fields.y.data]).toEqual([1, 0])
    expect([...dataSet.validation.fields.x.data]).toEqual([9, 9, 9, 9])
  })

  test('names the files that do not fit together', async () => {
    const images = idx([2, 2, 2], [0, 1, 2, 3, 4, 5, 6, 7])
    const labels = idx([2], [1, 0])
    const four = { trainImages: images, trainLabels: labels, testImages: images, testLabels: labels }
    const cases: [Partial<typeof four>, RegExp][] = [
      [{ trainLabels: idx([3], [1, 0, 1]) }, /train: 2 images and 3 labels/],
      [{ testImages: labels, testLabels: images }, /test: images of shape \[2\]/],
      [{ testImages: idx([2, 1, 2], [1, 2, 3, 4]) }, /train images are \[2,2\], test images \[1,2\]/],
      [{ testLabels: utf8('nonsense') }, /test labels: this is not an IDX file/],
    ]
    for (const [change, reason] of cases) {
      expect((await errorOf(idxDataSet({ ...four, ...change }))).message).toMatch(reason)
    }
  })
})

describe('a gzip file', () => {
  const packed = new Uint8Array(gzipSync(new Uint8Array(100_000)))

  test('unpacks up to the limit and not one byte further', async () => {
    expect((await gunzip(packed, 100_000)).length).toBe(100_000)
    expect((await errorOf(gunzip(packed, 99_999))).code).toBe('LIMIT_EXCEEDED')
  })

  test('is refused when it is cut off or a byte of it changed', async () => {
    expect((await errorOf(gunzip(packed.subarray(0, -9), 1e6))).code).toBe('DATA_INVALID')
    const changed = packed.slice()
    changed[changed.length - 6]! ^= 1
    expect((await errorOf(gunzip(changed, 1e6))).code).toBe('DATA_INVALID')
  })
})

describe('a text', () => {
  test('becomes ids in code point order, cut into a training and a validation part', () => {
    const { classes, vocabulary, train, validation } = textDataSet(utf8('banana 🍌\nbanana'), {
      context: 2,
      split: 0.75,
    })
    expect(vocabulary).toEqual(['\n', ' ', 'a', 'b', 'n', '🍌'])
    expect(classes).toBe(6)
    expect([...train.fields.x.data]).toEqual([3, 2, 4, 2, 4, 2, 1, 5, 0, 3, 2])
    expect([...validation.fields.x.data]).toEqual([4, 2, 4, 2])
    expect(train.count).toBe(9)
    expect(validation.count).toBe(1)
  })

  test('is refused when it is not UTF-8 or too short for the context', () => {
    expect(() => textDataSet(Uint8Array.of(0x61, 0xff), { context: 1, split: 0.5 })).toThrow(/not UTF-8/)
    expect(() => textDataSet(utf8('abcdefgh'), { context: 4, split: 0.5 })).toThrow(/context of 4/)
    expect(textDataSet(utf8('abcdefgh'), { context: 3, split: 0.5 }).train.count).toBe(1)
  })
})
