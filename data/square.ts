/**
 * Brings an image to a square of a given size: scaled until its shorter side fits, and the middle cut out of the longer
 * one. The same pixels as torchvision's `Resize(size)` and `CenterCrop(size)` give for an image of Pillow, so that a
 * model trained there sees here what it has learnt to see, and the exported one there what it has learnt here.
 *
 * Scaling is Pillow's `BILINEAR` (Resample.c): a triangle as wide as one pixel of the smaller of the two images, along
 * rows and then along columns, with bytes in between. Weights are whole numbers, as there, so that each byte is the
 * same; only Pillow 13 takes the columns first of images more than twice as high as wide, which moves some by 1.
 */

/** An image, channel by channel: u8[channels, height, width]. */
export interface Image {
  shape: readonly [channels: number, height: number, width: number]
  data: Uint8Array
}

/** Bits behind the point of a weight (Resample.c, PRECISION_BITS): a byte and two bits more stand before it. */
const weightBits = 22

/** The source pixels that one target pixel is a mean of, from `first` on; the weights sum to about 2^22. */
interface Window {
  first: number
  weights: Int32Array
}

/** `image` (borrowed) as u8[channels, size, size]; one that is so already keeps its memory. `size`: 1 or more. */
export function squared({ shape, data }: Image, size: number): Image {
  const [channels, height, width] = shape
  if (height === size && width === size) return { shape, data }
  const shorter = Math.min(height, width)
  const scaled = (length: number) => Math.floor((size * length) / shorter)
  const columns = windows(width, scaled(width), size)
  const rows = windows(height, scaled(height), size)
  const lines = along(data, { count: channels * height, step: 1, lineStep: width }, columns)
  const planes = new Uint8Array(channels * size * size)
  for (let channel = 0; channel < channels; channel++) {
    const plane = lines.subarray(channel * height * size, (channel + 1) * height * size)
    const turned = along(plane, { count: size, step: size, lineStep: 1 }, rows)
    for (let k = 0; k < turned.length; k++)
      planes[channel * size * size + (k % size) * size + Math.floor(k / size)] = turned[k]!
  }
  return { shape: [channels, size, size], data: planes }
}

/** For each of the middle `kept` of `to` pixels: what of the `from` pixels of the source it is made of. */
function windows(from: number, to: number, kept: number): Window[] {
  const extra = to - kept
  const half = Math.floor(extra / 2)
  // Python rounds the half of an odd number to the even neighbour
  const start = extra % 2 === 0 ? half : half + (half % 2)
  const scale = from / to
  const reach = Math.max(1, scale)
  return Array.from({ length: kept }, (_, index) => {
    const center = (start + index + 0.5) * scale
    const first = Math.max(0, Math.floor(center - reach + 0.5))
    const end = Math.min(from, Math.floor(center + reach + 0.5))
    const raw = Array.from({ length: end - first }, (_, k) =>
      Math.max(0, 1 - Math.abs((k + first - center + 0.5) * (1 / reach))),
    )
    const sum = raw.reduce((a, b) => a + b, 0)
    return { first, weights: Int32Array.from(raw, (weight) => 0.5 + (weight / sum) * 2 ** weightBits) }
  })
}

/** Lines of bytes in a flat array: `count` of them, `step` from one byte to the next. */
interface Lines {
  count: number
  step: number
  lineStep: number
}

/** Each line by `windows`: u8[count, windows.length]. */
function along(data: Uint8Array, { count, step, lineStep }: Lines, windows: readonly Window[]): Uint8Array {
  const out = new Uint8ClampedArray(count * windows.length)
  for (let line = 0; line < count; line++) {
    for (let index = 0; index < windows.length; index++) {
      const { first, weights } = windows[index]!
      const from = line * lineStep + first * step
      let sum = 2 ** (weightBits - 1) // rounds
      for (let k = 0; k < weights.length; k++) sum += weights[k]! * data[from + k * step]!
      out[line * windows.length + index] = sum >> weightBits
    }
  }
  return new Uint8Array(out.buffer)
}
