/** Fourier transforms and regions of the reference interpreter: one sum for each element of the result. */
import { at, axisOf, build, type Nd, type Plain } from './reference-array.ts'
import type { Operator } from './reference-elementwise.ts'

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

/** Real or imaginary part of Σ x_n e^(sign·2πikn/N), where `valueAt` gives both parts of x_n. */
function bin(
  valueAt: (n: number) => readonly [number, number],
  { k, points, sign, part }: { k: number; points: number; sign: number; part: number },
): number {
  const terms = Array.from({ length: points }, (_, n) => {
    const angle = (sign * 2 * Math.PI * k * n) / points
    const [real, imaginary] = valueAt(n)
    return part === 0
      ? real * Math.cos(angle) - imaginary * Math.sin(angle)
      : real * Math.sin(angle) + imaginary * Math.cos(angle)
  })
  return sum(terms)
}

const dft: Operator = ([x, lengths, axes], attributes) => {
  const axis = axisOf(axes?.data[0] ?? Number(attributes.axis ?? -2), x!.shape.length)
  const isInverse = attributes.inverse === 1
  if (isInverse && attributes.onesided === 1) return realSignal(x!, axis, lengths?.data[0])
  const points = lengths?.data[0] ?? x!.shape[axis]!
  const bins = attributes.onesided === 1 ? Math.floor(points / 2) + 1 : points
  return build([...x!.shape.with(axis, bins).slice(0, -1), 2], (index) => {
    const valueAt = (n: number): [number, number] => {
      const place = index.with(axis, n)
      if (n >= x!.shape[axis]!) return [0, 0]
      return [at(x!, place.with(-1, 0)), x!.shape.at(-1) === 2 ? at(x!, place.with(-1, 1)) : 0]
    }
    const form = { k: index[axis]!, points, sign: isInverse ? 1 : -1, part: index.at(-1)! }
    return bin(valueAt, form) / (isInverse ? points : 1)
  })
}

/** The real signal of which `x` is the first half of the spectrum; the other half is its mirror image, conjugated. */
function realSignal(x: Nd, axis: number, length?: number): Nd {
  const points = length ?? 2 * (x.shape[axis]! - 1)
  return build([...x.shape.with(axis, points).slice(0, -1), 1], (index) => {
    const valueAt = (k: number): [number, number] => {
      const bin = 2 * k <= points ? k : points - k
      if (bin >= x.shape[axis]!) return [0, 0]
      const value = (part: number) => at(x, index.with(axis, bin).with(-1, part))
      const turn = bin === 0 || 2 * bin === points ? 0 : 2 * k <= points ? 1 : -1 // which are their own images are real
      return [value(0), turn * value(1)]
    }
    return bin(valueAt, { k: index[axis]!, points, sign: 1, part: 0 }) / points
  })
}

const stft: Operator = ([signal, step, window, length], attributes) => {
  const points = length?.data[0] ?? window!.shape[0]!
  const bins = attributes.onesided === 0 ? points : Math.floor(points / 2) + 1
  const frames = Math.floor((signal!.shape[1]! - points) / step!.data[0]!) + 1
  return build([signal!.shape[0]!, frames, bins, 2], ([batch, frame, k, part]) => {
    const place = (n: number) => signal!.shape.slice(2).reduce((index) => [...index, 0], [batch!, n])
    const valueAt = (n: number): [number, number] => [
      at(signal!, place(frame! * step!.data[0]! + n)) * (window?.data[n] ?? 1),
      0,
    ]
    return bin(valueAt, { k: k!, points, sign: -1, part: part! })
  })
}

/** The value of an image between its elements, as torchvision's roi_align.cpp has it. */
function bilinear(image: Nd, lead: readonly number[], y: number, x: number): number {
  const [height, width] = image.shape.slice(2) as [number, number]
  if (y < -1 || y > height || x < -1 || x > width) return 0
  const corner = (place: number, size: number) => {
    const low = Math.min(Math.floor(Math.max(place, 0)), size - 1)
    const high = Math.min(low + 1, size - 1)
    return { low, high, share: low === high ? 0 : Math.max(place, 0) - low }
  }
  const [rows, columns] = [corner(y, height), corner(x, width)]
  const value = (row: number, column: number) => at(image, [...lead, row, column])
  const along = (row: number) =>
    value(row, columns.low) * (1 - columns.share) + value(row, columns.high) * columns.share
  return along(rows.low) * (1 - rows.share) + along(rows.high) * rows.share
}

const roiAlign: Operator = ([image, boxes, numbers], attributes: Plain) => {
  const [rows, columns, samples] = ['output_height', 'output_width', 'sampling_ratio'].map((name) =>
    Number(attributes[name] ?? 1),
  ) as [number, number, number]
  const isHalfPixel = (attributes.coordinate_transformation_mode ?? 'half_pixel') === 'half_pixel'
  return build([boxes!.shape[0]!, image!.shape[1]!, rows, columns], ([region, channel, row, column]) => {
    const edges = [0, 1, 2, 3].map(
      (side) => at(boxes!, [region!, side]) * Number(attributes.spatial_scale ?? 1) - (isHalfPixel ? 0.5 : 0),
    ) as [number, number, number, number]
    const length = (low: number, high: number) => (isHalfPixel ? high - low : Math.max(1, high - low))
    const [width, height] = [length(edges[0], edges[2]), length(edges[1], edges[3])]
    const values = Array.from({ length: samples * samples }, (_, place) => {
      const [i, j] = [Math.floor(place / samples), place % samples]
      const y = edges[1] + ((row! + (i + 0.5) / samples) * height) / rows
      const x = edges[0] + ((column! + (j + 0.5) / samples) * width) / columns
      return bilinear(image!, [numbers!.data[region!]!, channel!], y, x)
    })
    return sum(values) / values.length
  })
}

export const spectra: Readonly<Record<string, Operator>> = { DFT: dft, STFT: stft, RoiAlign: roiAlign }
