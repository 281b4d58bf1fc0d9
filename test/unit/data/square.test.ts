/**
 * Images brought to a square, against Pillow 13: `image.resize((width, height), BILINEAR)` with the sizes of
 * torchvision's `Resize`, and the middle of it with the rounding of its `CenterCrop`.
 */

import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { squared } from '../../../data/square.ts'
import { seededRandom } from '../../../protocols/core/random.ts'

/** 7 pixels wide, 5 high; of pixel x, y and channel c the byte (37 x + 91 y + 53 c + 7 x y) mod 256. */
const image = {
  shape: [3, 5, 7],
  data: Uint8Array.from({ length: 3 * 5 * 7 }, (_, k) => {
    const [x, y, c] = [k % 7, Math.floor(k / 7) % 5, Math.floor(k / 35)]
    return 37 * x + 91 * y + 53 * c + 7 * x * y
  }),
} as const

/** The first channel as rows. */
const rows = (data: Uint8Array, size: number) =>
  Array.from({ length: size }, (_, y) => [...data.subarray(y * size, (y + 1) * size)])

test('a larger image is averaged, and the middle is kept', () => {
  const { shape, data } = squared(image, 3)
  expect(shape).toEqual([3, 3, 3])
  expect(rows(data, 3)).toEqual([
    [60, 122, 117],
    [145, 117, 130],
    [101, 157, 144],
  ])
})

test('a smaller image is drawn between its pixels', () => {
  expect(rows(squared(image, 8).data, 8)).toEqual([
    [40, 64, 87, 111, 135, 158, 182, 205],
    [83, 109, 134, 160, 114, 99, 125, 150],
    [144, 162, 186, 214, 89, 31, 59, 87],
    [191, 110, 93, 124, 104, 106, 137, 168],
    [172, 94, 80, 114, 148, 160, 143, 170],
    [88, 115, 147, 184, 221, 192, 76, 91],
    [136, 175, 162, 110, 149, 158, 126, 156],
    [179, 220, 169, 47, 88, 130, 171, 212],
  ])
})

test('each channel by itself, and a square of the right size stays as it is', () => {
  const flat = {
    shape: [2, 4, 6],
    data: Uint8Array.from({ length: 48 }, (_, k) => (k < 24 ? 7 : 255)),
  } as const
  expect([...squared(flat, 2).data]).toEqual([7, 7, 7, 7, 255, 255, 255, 255])
  const square = squared(image, 5)
  expect(squared(square, 5)).toEqual(square)
})

test.each([
  [200, 200, 64, 'b53cf69554a6fcb496cc362a0b96deae6c1195ecc71ade20d16903c75de0a7ec'],
  [50, 33, 80, 'bc6fbd1403133ba67a554043b56bd39075e82bb7fc5eb8e62b044c00ec21c44a'],
])(
  'of noise, %i pixels high and %i wide, each byte at size %i is as Pillow rounds it',
  (height, width, size, hash) => {
    const random = seededRandom(7)
    const noise = Uint8Array.from({ length: 3 * height * width }, () => random.integer(256))
    const { data } = squared({ shape: [3, height, width], data: noise }, size)
    expect(createHash('sha256').update(data).digest('hex')).toBe(hash)
  },
)
