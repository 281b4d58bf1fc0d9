/**
 * Files of images in, their pixels out: JPEGs and PNGs, as red, green and blue bytes.
 *
 * What comes out is what Pillow's `convert('RGB')` makes of a file, which is what torchvision's folders of images hold:
 * gray in all three channels, palettes looked up, transparency left out, of 16-bit values the higher byte (of 16-bit
 * grays Pillow makes something else). Classes, sizes and splits are image-folder.ts's matter.
 */

import { convertIndexedToRgb, type DecodedPng, decode as decodePng } from 'fast-png'
import { decode as decodeJpeg } from 'jpeg-js'
import { SwarmError } from '../protocols/core/errors.ts'
import type { FolderFile } from './folder.ts'
import type { Image } from './square.ts'

/** Of one image, decoded; jpeg-js allocates no more. A sample has to fit a block of 1 MiB anyway. */
const decodedMegabytesMax = 64

/** Width and height stand in the first chunk of a PNG, behind its signature (PNG specification, 5.2 and 11.2.1). */
const pngSizeAt = 16

/** Pixels as they are decoded, `channels` values of a point side by side. */
interface Points {
  width: number
  height: number
  channels: number
  data: ArrayLike<number>
}

/** Whether a file's name says that it is an image which can be read. */
export function isImage(path: string): boolean {
  return /\.(jpe?g|png)$/i.test(path)
}

/** Whether a file's name says that it is an image of a format that cannot. */
export function isForeignImage(path: string): boolean {
  return /\.(avif|bmp|gif|heic|tiff?|webp)$/i.test(path)
}

/**
 * u8[3, height, width] of a file that {@link isImage}.
 * @throws {SwarmError} DATA_INVALID naming the file that is none, is broken, or has too many pixels.
 */
export function readImage({ path, bytes }: FolderFile): Image {
  const isPng = /\.png$/i.test(path)
  try {
    return inPlanes(isPng ? ofPng(bytes) : ofJpeg(bytes))
  } catch (cause) {
    const format = isPng ? 'PNG' : 'JPEG'
    throw new SwarmError('DATA_INVALID', `${path} is not a ${format} that can be read`, {
      cause,
      hint: 'Take it out of the folder, or save it again as a PNG or as a baseline or progressive JPEG.',
    })
  }
}

function ofJpeg(bytes: Uint8Array): Points {
  const { width, height, data } = decodeJpeg(bytes, {
    useTArray: true,
    formatAsRGBA: false,
    tolerantDecoding: false,
    maxMemoryUsageInMB: decodedMegabytesMax,
  })
  return { width, height, channels: 3, data }
}

function ofPng(bytes: Uint8Array): Points {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const pixels = view.getUint32(pngSizeAt) * view.getUint32(pngSizeAt + 4)
  // four channels of 16 bits are the most that a pixel has
  if (8 * pixels > decodedMegabytesMax * 2 ** 20) throw new RangeError(`${pixels} pixels are too many`)
  const png = decodePng(bytes, { checkCrc: true })
  const { width, height, channels, depth } = png
  const palette = png.palette ?? (depth < 8 ? grays(depth) : undefined)
  if (palette !== undefined)
    return { width, height, channels: palette[0]!.length, data: convertIndexedToRgb({ ...png, palette }) }
  return { width, height, channels, data: depth === 16 ? higherBytes(png) : png.data }
}

/** The palette that grays of `depth` bits, below 8, stand for. */
function grays(depth: number): number[][] {
  const last = 2 ** depth - 1
  return Array.from({ length: last + 1 }, (_, k) => Array(3).fill((255 * k) / last))
}

function higherBytes({ data }: DecodedPng): Uint8Array {
  return Uint8Array.from(data, (value) => value >> 8)
}

/** Channel by channel; of a gray image with itself as every channel, of four or two without the last. */
function inPlanes({ width, height, channels, data }: Points): Image {
  const area = width * height
  const planes = new Uint8Array(3 * area)
  const isGray = channels < 3
  for (let k = 0; k < planes.length; k++)
    planes[k] = data[channels * (k % area) + (isGray ? 0 : Math.floor(k / area))]!
  return { shape: [3, height, width], data: planes }
}
