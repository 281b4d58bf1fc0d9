/**
 * Gradient of Resize. Along each axis every output element is a weighted sum of a few input elements, whatever the
 * mode: y = M·x with a constant matrix M, so dx = Mᵀ·dy, one axis after the other. The weights follow the ONNX
 * specification's Resize (coordinate_transformation_mode, nearest_mode, cubic_coeff_a, exclude_outside, antialias) and
 * PyTorch agrees with them.
 *
 * Enlarging by a whole factor with the nearest element only repeats elements; then the gradient is a sum over each
 * group.
 */

import { allAxes, type Formulas, positiveAxis } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { type Attributes, floatOf, intOf, intsOf, textOf } from '../onnx/graph.ts'
import { sizeOf } from '../onnx/types.ts'
import { type Application, fixedNumbers, gradient } from './rule.ts'

export const resize = {
  /** dx = M₁ᵀ·…·M_kᵀ·dy */
  Resize: gradient(
    (application) => {
      const { f, x, dy } = application
      const crops = cropsOf(application)
      return scalesOf(application).reduce((gradient, scale, axis) => {
        const [size, count] = [x[0]!.shape[axis]!, gradient.shape[axis]!]
        if (scale === 1 && count === size) return gradient // onnxruntime crops no axis that keeps its size
        const weights = axisWeights(application.attributes, { size, count, scale, crop: crops?.[axis] })
        return spreadAlong(f, gradient, axis, weights, size)
      }, dy)
    },
    null,
    null,
    null,
  ),
} as const

/** Weights of the input elements that make one output element. */
type Weights = ReadonlyMap<number, number>

/** One axis while it is resized, in elements. */
interface Axis {
  readonly size: number
  /** Size of the output. */
  readonly count: number
  /** Output size over input size, as the coordinates use it: before the output's was rounded. */
  readonly scale: number
  /** Where the region begins and ends that is shown, as shares of the axis; undefined when all of it is. */
  readonly crop: readonly [start: number, end: number] | undefined
}

/** Axes that the operator's lists speak of, in their order. */
function listedAxes({ x, attributes }: Application): number[] {
  const rank = x[0]!.shape.length
  return (intsOf(attributes, 'axes') ?? allAxes(x[0]!)).map((axis) => positiveAxis(axis, rank))
}

/** The scale of every axis. */
function scalesOf(application: Application): number[] {
  const { x, y, attributes } = application
  const axes = listedAxes(application)
  const listed = fixedNumbers(application, 2, 'scales')
  const policy = textOf(attributes, 'keep_aspect_ratio_policy', 'stretch')
  if (listed.length === 0 && policy !== 'stretch') {
    const sizes = fixedNumbers(application, 3, 'sizes')
    const scales = sizes.map((size, place) => size / x[0]!.shape[axes[place]!]!)
    const common = policy === 'not_larger' ? Math.min(...scales) : Math.max(...scales)
    return x[0]!.shape.map((_, axis) => (axes.includes(axis) ? common : 1))
  }
  return x[0]!.shape.map((size, axis) => {
    const given = axes.includes(axis) ? listed[axes.indexOf(axis)] : undefined
    return given ?? y[0]!.shape[axis]! / size
  })
}

/** The region of every axis that is shown; null when nothing is cropped. */
function cropsOf(application: Application): (readonly [number, number])[] | null {
  const { x, attributes } = application
  if (textOf(attributes, 'coordinate_transformation_mode', 'half_pixel') !== 'tf_crop_and_resize') return null
  const axes = listedAxes(application)
  const region = fixedNumbers(application, 1, 'regions')
  return allAxes(x[0]!).map((axis) => {
    const place = axes.indexOf(axis)
    return place < 0 ? [0, 1] : [region[place]!, region[axes.length + place]!]
  })
}

function axisWeights(attributes: Attributes, axis: Axis): Weights[] {
  const { size, count, scale, crop } = axis
  const isSmoothed = intOf(attributes, 'antialias', 0) === 1 && scale < 1
  const weightsAt = (isSmoothed ? smoothed(scale) : samplers)[textOf(attributes, 'mode', 'nearest')]!
  return Array.from({ length: count }, (_, position) => {
    const weights = new Map<number, number>()
    const coordinate = coordinateOf(attributes, position, axis)
    if (crop !== undefined && (coordinate < 0 || coordinate > size - 1)) return weights // a constant is shown there
    for (const [index, weight] of weightsAt(coordinate, attributes, size)) {
      const inside = Math.min(Math.max(index, 0), size - 1)
      if (weight !== 0) weights.set(inside, (weights.get(inside) ?? 0) + weight)
    }
    return weights
  })
}

/** Where in the input, in elements, output element `position` lies (ONNX, Resize, coordinate_transformation_mode). */
function coordinateOf(attributes: Attributes, position: number, { size, count, scale, crop }: Axis): number {
  switch (textOf(attributes, 'coordinate_transformation_mode', 'half_pixel')) {
    case 'asymmetric':
      return position / scale
    case 'align_corners':
      return count === 1 ? 0 : (position * (size - 1)) / (count - 1)
    case 'pytorch_half_pixel':
      return count > 1 ? (position + 0.5) / scale - 0.5 : 0
    case 'tf_half_pixel_for_nn':
      return (position + 0.5) / scale
    case 'tf_crop_and_resize': {
      const [start, end] = crop!
      if (count === 1) return ((start + end) / 2) * (size - 1)
      return start * (size - 1) + (position * (end - start) * (size - 1)) / (count - 1)
    }
    case 'half_pixel_symmetric': {
      const adjustment = count / (scale * size)
      return (size / 2) * (1 - adjustment) + (position + 0.5) / scale - 0.5
    }
    default:
      return (position + 0.5) / scale - 0.5
  }
}

/** Input elements and weights at a coordinate. Elements outside repeat the nearest one inside. */
type Sampler = (at: number, attributes: Attributes, size: number) => Taps

const samplers: Readonly<Record<string, Sampler>> = {
  nearest: (at, attributes) => [[nearestTo(at, textOf(attributes, 'nearest_mode', 'round_prefer_floor')), 1]],
  linear: (at, _, size) => {
    const inside = Math.min(Math.max(at, 0), size - 1)
    const first = Math.floor(inside)
    return [
      [first, 1 - (inside - first)],
      [first + 1, inside - first],
    ]
  },
  cubic: (at, attributes, size) => {
    const a = floatOf(attributes, 'cubic_coeff_a', -0.75)
    const first = Math.floor(at) - 1
    const taps = [0, 1, 2, 3].map((offset): [number, number] => [
      first + offset,
      cubicWeight(Math.abs(at - first - offset), a),
    ])
    return intOf(attributes, 'exclude_outside', 0) === 0 ? taps : shared(insideOf(taps, size))
  },
}

/**
 * Samplers that make an axis smaller by `scale` without aliases: the filter is as much wider, and its weights are shares
 * of their sum (ONNX, Resize, antialias).
 */
function smoothed(scale: number): Readonly<Record<string, Sampler>> {
  const widened =
    (reach: number, filter: (distance: number, attributes: Attributes) => number): Sampler =>
    (at, attributes, size) => {
      const first = Math.floor(at) + Math.floor(-reach / scale) + 1
      const last = Math.floor(at) + 1 - Math.floor(-reach / scale)
      const taps = Array.from({ length: last - first + 1 }, (_, offset): [number, number] => [
        first + offset,
        filter(Math.abs(first + offset - at) * scale, attributes),
      ])
      return shared(intOf(attributes, 'exclude_outside', 0) === 0 ? taps : insideOf(taps, size))
    }
  return {
    ...samplers,
    linear: widened(1, (distance) => Math.max(0, 1 - distance)),
    cubic: widened(2, (distance, attributes) =>
      cubicWeight(distance, floatOf(attributes, 'cubic_coeff_a', -0.75)),
    ),
  }
}

type Taps = readonly (readonly [index: number, weight: number])[]

function insideOf(taps: Taps, size: number): Taps {
  return taps.filter(([index]) => index >= 0 && index < size)
}

/** `taps` with weights that add up to 1. */
function shared(taps: Taps): Taps {
  const total = taps.reduce((sum, [, weight]) => sum + weight, 0)
  return taps.map(([index, weight]) => [index, weight / total])
}

function nearestTo(at: number, mode: string): number {
  switch (mode) {
    case 'floor':
      return Math.floor(at)
    case 'ceil':
      return Math.ceil(at)
    case 'round_prefer_ceil':
      return Math.floor(at + 0.5)
    default:
      return Math.ceil(at - 0.5)
  }
}

/**
 * Keys, "Cubic convolution interpolation for digital image processing", 1981, equation 4; `a` is its free parameter.
 */
function cubicWeight(distance: number, a: number): number {
  const [d, d2, d3] = [distance, distance ** 2, distance ** 3]
  if (d <= 1) return (a + 2) * d3 - (a + 3) * d2 + 1
  return d < 2 ? a * d3 - 5 * a * d2 + 8 * a * d - 4 * a : 0
}

/** Mᵀ·dy along `axis`, where row i of M is `weights[i]` and has `size` columns. */
function spreadAlong(f: Formulas, dy: Value, axis: number, weights: readonly Weights[], size: number): Value {
  const count = weights.length
  const factor = count / size
  const shape = dy.shape.with(axis, size)
  const repeats = weights.every((row, position) => row.get(Math.floor(position / factor)) === 1)
  if (Number.isInteger(factor) && repeats) {
    const parted = [...dy.shape.slice(0, axis), size, factor, ...dy.shape.slice(axis + 1)]
    return f.reduceSum(f.reshape(dy, parted), [axis + 1])
  }
  const [before, after] = [sizeOf(dy.shape.slice(0, axis)), sizeOf(dy.shape.slice(axis + 1))]
  if (after === 1) {
    const matrix = f.tensor(matrixOf(weights, size, false), [count, size])
    return f.reshape(f.gemm(f.reshape(dy, [before, count]), matrix), shape)
  }
  const matrix = f.tensor(matrixOf(weights, size, true), [size, count])
  return f.reshape(f.matmul(matrix, f.reshape(dy, [before, count, after])), shape)
}

function matrixOf(weights: readonly Weights[], size: number, isTransposed: boolean): Float32Array {
  const matrix = new Float32Array(weights.length * size)
  for (const [row, columns] of weights.entries()) {
    for (const [column, weight] of columns) {
      matrix[isTransposed ? column * weights.length + row : row * size + column] = weight
    }
  }
  return matrix
}
