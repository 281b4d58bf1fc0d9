/**
 * Sampling an image at computed places (Jaderberg et al., "Spatial transformer networks", 2015), spelled out: a sample
 * is a weighted mean of the elements around its place, the weights are functions of the grid, and so gradients reach
 * image and grid.
 *
 * Numbers of elements are computed in float32, exact up to 2^24 elements of a channel, and become int32.
 */

import { tapsOf } from '../convolution/windows.ts'
import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { int, intOf, textOf } from '../onnx/graph.ts'
import { sizeOf } from '../onnx/types.ts'
import { fixedNumbers, spelled, type Use } from './rule.ts'

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
  const sides = size.map((length, axis) => {
    const column = f.slice(grid, [{ axis: grid.shape.length - 1, start: size.length - 1 - axis, count: 1 }])
    const place = elementPlace(use, f.reshape(column, [batch, 1, places]), length)
    if (mode === 'cubic' || mode === 'bicubic') return cubicSides(use, place, length)
    return sidesOf(f, reflected(use, place, length), length, mode === 'nearest')
  })
  const sampled = weighted(f, f.reshape(image, [batch, channels, sizeOf(size)]), size, sides)
  return f.reshape(sampled, [batch, channels, ...grid.shape.slice(1, -1)])
}

/**
 * `pixels` `[batch, channels, elements]`, images of `size`, at `axes`: places `[batch, 1, places]` of each axis,
 * counted in elements: `[batch, channels, places]`. Between elements a linear mean; 0 outside.
 */
export function sampleAt(f: Formulas, pixels: Value, axes: readonly Value[], size: readonly number[]): Value {
  const sides = axes.map((place, axis) => sidesOf(f, place, size[axis]!, false))
  return weighted(f, pixels, size, sides)
}

/** An element of one axis for each place, `[batch, 1, places]`: its number, inside the image, and its weight. */
interface Side {
  readonly index: Value
  readonly weight: Value
}

/** The mean of the elements that the `sides` of each axis make together. */
function weighted(
  f: Formulas,
  pixels: Value,
  size: readonly number[],
  sides: readonly (readonly Side[])[],
): Value {
  const parts = tapsOf(sides.map(({ length }) => length)).map((corner) => {
    const chosen = sides.map((of, axis) => of[corner[axis]!]!)
    const number = chosen.reduce(
      (sum: Value | null, { index }, axis) => (sum === null ? index : f.add(f.mul(sum, size[axis]!), index)),
      null,
    )!
    const weight = chosen.map((side) => side.weight).reduce((product, side) => f.mul(product, side))
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

/** The elements before and after a place; or the nearest. */
function sidesOf(f: Formulas, place: Value, length: number, isNearest: boolean): Side[] {
  if (isNearest) return [inside(f, f.unary('Round', place), f.full(place.shape, 1), length)]
  const first = f.unary('Floor', place)
  const distance = f.sub(place, first)
  return [inside(f, first, f.sub(1, distance), length), inside(f, f.add(first, 1), distance, length)]
}

/**
 * The four elements around a place (Keys, "Cubic convolution interpolation for digital image processing", 1981,
 * equation 4, with a = -0.75 as PyTorch and ONNX have it). Padding shows what lies outside element by element.
 */
function cubicSides(use: Use, place: Value, length: number): Side[] {
  const { f } = use
  const first = f.unary('Floor', place)
  const after = f.sub(place, first)
  const before = f.sub(1, after)
  const near = (d: Value) => f.add(f.mul(f.sub(f.mul(d, 1.25), 2.25), f.mul(d, d)), 1)
  const far = (d: Value) => f.add(f.mul(f.sub(f.mul(f.sub(3.75, f.mul(d, 0.75)), d), 6), d), 3)
  const weights = [far(f.add(after, 1)), near(after), near(before), far(f.add(before, 1))]
  return weights.map((weight, step) =>
    inside(f, reflected(use, f.add(first, step - 1), length), weight, length),
  )
}

/** The element `index`, kept inside the image, with `weight`: 0 outside. */
function inside(f: Formulas, index: Value, weight: Value, length: number): Side {
  const none = f.full(weight.shape)
  const isInside = f.where(f.greater(index, -1), f.where(f.greater(length, index), weight, none), none)
  return { index: f.min(f.max(index, 0), length - 1), weight: isInside }
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
