/**
 * Sampling an image at computed places (Jaderberg et al., "Spatial transformer networks", 2015), spelled out: a sample
 * is a weighted mean of the elements around its place, the weights are functions of the grid, and so gradients reach
 * image and grid.
 *
 * Numbers of elements are computed in float32, exact up to 2^24 elements of a channel, and become int32.
 */

import type { Formulas } from '../onnx/formulas.ts'
import { int, intOf, textOf } from '../onnx/graph.ts'
import type { Value } from '../onnx/graph-builder.ts'
import { sizeOf } from '../onnx/types.ts'
import { fixedNumbers, spelled, type Use, unsupportedUse } from './rule.ts'
import { tapsOf } from './windows.ts'

export const sampling = {
  /** theta `[N, d, d + 1]` times the places of an image of the given size, in -1 to 1 */
  AffineGrid: spelled(
    (use) => {
      const { f, x, attributes } = use
      const [batch, , ...size] = fixedNumbers(use, 1, 'sizes') as [number, number, ...number[]]
      const isAligned = intOf(attributes, 'align_corners', 0) === 1
      const places = tapsOf(size).flatMap((index) => [
        ...index.map((position, axis) => placeOf(position, size[axis]!, isAligned)).reverse(),
        1,
      ])
      const rank = size.length
      const base = f.tensor(Float32Array.from(places), [sizeOf(size), rank + 1])
      return f.reshape(f.matmul(base, f.transposeMatrix(x[0]!)), [batch, ...size, rank])
    },
    [1],
  ),
  /** X `[N, C, ...size]` at grid `[N, ...places, axes]`, whose last axis counts in -1 to 1, last image axis first */
  GridSample: spelled(gridSample),
} as const

function placeOf(position: number, size: number, isAligned: boolean): number {
  if (isAligned) return size === 1 ? 0 : (2 * position) / (size - 1) - 1
  return (2 * position + 1) / size - 1
}

function gridSample(use: Use): Value {
  const { f, x, attributes } = use
  const [image, grid] = x as [Value, Value]
  const [batch, channels, ...size] = image.shape as [number, number, ...number[]]
  const places = sizeOf(grid.shape.slice(1, -1))
  const mode = textOf(attributes, 'mode', 'linear')
  if (mode === 'cubic' || mode === 'bicubic')
    throw unsupportedUse(use, 'it samples cubic', 'Sample bilinear.')
  const axes = size.map((length, axis) => {
    const column = f.slice(grid, [{ axis: grid.shape.length - 1, start: size.length - 1 - axis, count: 1 }])
    return reflected(use, elementPlace(use, f.reshape(column, [batch, 1, places]), length), length)
  })
  const pixels = f.reshape(image, [batch, channels, sizeOf(size)])
  const sampled = sampleAt(f, pixels, axes, size, mode === 'nearest')
  return f.reshape(sampled, [batch, channels, ...grid.shape.slice(1, -1)])
}

/**
 * `pixels` `[batch, channels, elements]`, images of `size`, at `axes`: places `[batch, 1, places]` of each axis,
 * counted in elements: `[batch, channels, places]`. Between elements a linear mean, or the nearest; 0 outside.
 */
export function sampleAt(
  f: Formulas,
  pixels: Value,
  axes: readonly Value[],
  size: readonly number[],
  isNearest = false,
): Value {
  const corners = isNearest ? [size.map(() => 0)] : tapsOf(size.map(() => 2))
  const parts = corners.map((corner) => {
    const sides = axes.map((place, axis) => sideOf(f, place, corner[axis]!, size[axis]!, isNearest))
    const number = sides.reduce(
      (sum: Value | null, { index }, axis) => (sum === null ? index : f.add(f.mul(sum, size[axis]!), index)),
      null,
    )!
    const weight = sides.map((side) => side.weight).reduce((product, side) => f.mul(product, side))
    return f.mul(pickElements(f, pixels, f.cast(number, 'int32')), weight)
  })
  return parts.reduce((sum, part) => f.add(sum, part))
}

/** From -1 to 1 to elements, 0 to length - 1. */
function elementPlace({ f, attributes }: Use, place: Value, length: number): Value {
  if (intOf(attributes, 'align_corners', 0) === 1) return f.mul(f.add(place, 1), (length - 1) / 2)
  return f.sub(f.mul(f.add(place, 1), length / 2), 0.5)
}

/** Folds a place back into the image when padding is reflection: a triangle wave between its ends. */
function reflected(use: Use, place: Value, length: number): Value {
  const { f, attributes } = use
  const padding = textOf(attributes, 'padding_mode', 'zeros')
  if (padding === 'zeros') return place
  const clipped = (value: Value) => f.min(f.max(value, 0), length - 1)
  if (padding === 'border') return clipped(place)
  const isAligned = intOf(attributes, 'align_corners', 0) === 1
  const [low, span] = isAligned ? [0, length - 1] : [-0.5, length]
  if (span === 0) return f.mul(place, 0)
  const distance = f.unary('Abs', f.sub(place, low))
  const periods = f.unary('Floor', f.div(distance, 2 * span))
  const within = f.sub(distance, f.mul(periods, 2 * span))
  return clipped(f.add(f.min(within, f.sub(2 * span, within)), low))
}

/** The element before (0) or after (1) a place, kept inside the image, and its weight: 0 outside. */
function sideOf(f: Formulas, place: Value, side: number, length: number, isNearest: boolean) {
  const first = isNearest ? f.unary('Round', place) : f.unary('Floor', place)
  const index = side === 0 ? first : f.add(first, 1)
  const distance = f.sub(place, first)
  const share = isNearest ? f.full(place.shape, 1) : side === 0 ? f.sub(1, distance) : distance
  const inside = f.where(
    f.greater(index, -1),
    f.where(f.greater(length, index), share, f.full(place.shape)),
    f.full(place.shape),
  )
  return { index: f.min(f.max(index, 0), length - 1), weight: inside }
}

/** `[batch, channels, places]`: elements `numbers` `[batch, 1, places]` of each channel. */
function pickElements(f: Formulas, pixels: Value, numbers: Value): Value {
  const shape = [...pixels.shape.slice(0, 2), numbers.shape[2]!]
  const attributes = { axis: int(2) }
  return f.builder.emit('GatherElements', [pixels, f.expand(numbers, shape)], attributes, {
    dtype: pixels.dtype,
    shape,
  })
}
