/** PNGs of every kind of pixel against what Pillow makes of them, and files that are broken. */
import { encode } from 'fast-png'
import { expect, test } from 'vitest'
import { readImage } from '../../../data/image-file.ts'
import { imageFolder } from '../../../data/image-folder.ts'

const bytesOf = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'))

/** Two rows of three pixels, and Pillow 13's `convert('RGB')` of them, channel by channel; of gray ones one channel. */
const pngs: readonly (readonly [string, string, readonly number[]])[] = [
  [
    '1 bit of gray',
    'iVBORw0KGgoAAAANSUhEUgAAAAMAAAACAQAAAAC1D1u3AAAADElEQVR4nGNoYFAAAAGkAKFSvqbyAAAAAElFTkSuQmCC',
    [255, 0, 0, 0, 0, 255],
  ],
  [
    '8 bits of gray',
    'iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAAAAAC4HznGAAAAEElEQVR4nGO4N5WLUcJWEgAKqQHtH+lChQAAAABJRU5ErkJggg==',
    [222, 149, 10, 24, 85, 110],
  ],
  [
    'a palette of 2 bits, one of it transparent',
    'iVBORw0KGgoAAAANSUhEUgAAAAMAAAACAgMAAADgGo6JAAAADFBMVEUKFB4oMjxGUFr68ObJsPvyAAAAAnRSTlP/AOW3MEoAAAAMSURBVHicY5jCoAEAAegAve6DRA4AAAAASUVORK5CYII=',
    [70, 40, 40, 10, 70, 70, 80, 50, 50, 20, 80, 80, 90, 60, 60, 30, 90, 90],
  ],
  [
    'colours',
    'iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAIAAAASFvFNAAAAHElEQVR4nGPkkC2OOSbI3q3G1MfvGSvoevfxHwA1rwbclmoQKwAAAABJRU5ErkJggg==',
    [8, 100, 107, 150, 193, 72, 29, 227, 110, 44, 244, 81, 115, 132, 170, 188, 201, 166],
  ],
  [
    'colours, transparent',
    'iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAYAAACddGYaAAAAI0lEQVR4nGNYtume1wcG4Z8ffZQDGLmfrJxqPKXdwLpf8D0AoLMLo16iXhcAAAAASUVORK5CYII=',
    [166, 240, 241, 11, 62, 121, 178, 0, 76, 228, 120, 7, 222, 19, 35, 169, 48, 65],
  ],
  [
    'gray, transparent',
    'iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAQAAAA3fa6RAAAAFklEQVR4nGNojXcQn72SiaF/rRzDDwAggwTU0OTiHAAAAABJRU5ErkJggg==',
    [133, 64, 155, 133, 237, 155],
  ],
  [
    'colours of 16 bits',
    'iVBORw0KGgoAAAANSUhEUgAAAAMAAAACEAIAAABChi0OAAAAMUlEQVR4nAEmANn/AD9MfL1KuKc3Y9TXqAGuOdHpbQD0wlPgYhqX2ahk5npiJTayzEpqZBMwYntsVwAAAABJRU5ErkJggg==',
    [63, 167, 1, 244, 151, 98, 124, 99, 57, 83, 168, 54, 74, 215, 233, 98, 230, 204],
  ],
  [
    '4 bits of gray',
    'iVBORw0KGgoAAAANSUhEUgAAAAMAAAACBAAAAAB979THAAAADklEQVR4nGNYcJ9B1Q0ABzIB65K04NMAAAAASUVORK5CYII=',
    [170, 0, 221, 34, 85, 68],
  ],
]

test.each(pngs)('a PNG with %s gives the pixels that Pillow gives', (_, base64, expected) => {
  const image = readImage({ path: 'a.PNG', bytes: bytesOf(base64) })
  expect(image.shape).toEqual([3, 2, 3])
  expect([...image.data]).toEqual(expected.length === 18 ? expected : [...expected, ...expected, ...expected])
})

test('of 16 bits of gray the higher byte counts', () => {
  const bytes = encode({ width: 2, height: 1, channels: 1, depth: 16, data: Uint16Array.of(0x1234, 0xff00) })
  expect([...readImage({ path: 'a.png', bytes }).data]).toEqual([0x12, 0xff, 0x12, 0xff, 0x12, 0xff])
})

test('a PNG that is cut, altered or larger than memory is named', () => {
  const [, base64] = pngs[0]!
  const whole = bytesOf(base64)
  const altered = whole.with(45, whole[45]! ^ 1)
  const huge = whole.slice()
  new DataView(huge.buffer).setUint32(16, 2 ** 24)
  for (const bytes of [new Uint8Array(0), whole.subarray(0, 40), altered, huge]) {
    const reading = () => readImage({ path: 'iris/1.png', bytes })
    expect(reading).toThrow(expect.objectContaining({ code: 'DATA_INVALID' }))
    expect(reading).toThrow(/^iris\/1\.png is not a PNG/)
  }
})

test('an image of a format that is not read is named, not passed over', () => {
  const png = { path: 'train/a/1.png', bytes: bytesOf(pngs[0]![1]) }
  const options = { validation: 0.5, seed: 1 }
  expect(() => imageFolder([png, { path: 'train/a/2.webp', bytes: png.bytes }], options)).toThrow(
    /^train\/a\/2\.webp is an image of a format/,
  )
  const { train } = imageFolder(
    [png, { ...png, path: 'val/a/1.png' }, { ...png, path: 'notes.txt' }],
    options,
  )
  expect([...train.fields.x.data]).toEqual([...readImage(png).data])
})
