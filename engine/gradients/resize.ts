/**
 * Gradient of Resize. Along each axis every output element is a weighted sum of a few input elements, whatever the
 * mode: y = M·x with a constant matrix M, so dx = Mᵀ·dy, one axis after the other. The weights follow the ONNX
 * specification's Resize (coordinate_transformation_mode, nearest_mode, cubic_coeff_a, exclude_outside) and PyTorch
 * agrees with them.
 *
 * Enlarging by a whole factor with the nearest element only repeats elements; then the gradient is a sum over each
 * group.
 */

import { type Formulas, positiveAxis } from '../onnx/formulas.ts'
import { type Attributes, floatOf, intOf, intsOf, textOf } from '../onnx/graph.ts'
import type { Value } from '../onnx/graph-builder.ts'
import { sizeOf } from '../onnx/types.ts'
import { type Application, fixedNumbers, gradient, unsupportedUse } from './rule.ts'

export const resize = {
  /** dx = M₁ᵀ·…·M_kᵀ·dy */
  Resize: gradient(
    (application) => {
      const { f, x, dy } = application
      return scalesOf(application).reduce((gradient, scale, axis) => {
        const size = x[0]!.shape[axis]!
        if (scale === 1 && gradient.shape[axis] === size) return gradient
        const weights = axisWeights(application, size, gradient.shape[axis]!, scale)
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

/** Output size over input size of every axis, as the coordinates use it. */
function scalesOf(application: Application): number[] {
  const { x, y, attributes } = application
  if (intOf(attributes, 'antialias', 0) === 1) {
    throw unsupportedUse(application, 'it resizes with antialias', 'Resize without antialias.')
  }
  const axes = (intsOf(attributes, 'axes') ?? x[0]!.shape.map((_, axis) => axis)).map((axis) =>
    positiveAxis(axis, x[0]!.shape.length),
  )
  const listed = fixedNumbers(application, 2, 'scales')
  return x[0]!.shape.map((size, axis) => {
    const given = axes.includes(axis) ? listed[axes.indexOf(axis)] : undefined
    return given ?? y[0]!.shape[axis]! / size
  })
}

function axisWeights({ attributes }: Application, size: number, count: number, scale: number): Weights[] {
  const weightsAt = samplers[textOf(attributes, 'mode', 'nearest')]!
  return Array.from({ length: count }, (_, position) => {
    const weights = new Map<number, number>()
    const coordinate = coordinateOf(attributes, position, size, count, scale)
    for (const [index, weight] of weightsAt(coordinate, attributes, size)) {
      const inside = Math.min(Math.max(index, 0), size - 1)
      if (weight !== 0) weights.set(inside, (weights.get(inside) ?? 0) + weight)
    }
    return weights
  })
}

/** Where in the input, in elements, output element `position` lies (ONNX, Resize, coordinate_transformation_mode). */
function coordinateOf(
  attributes: Attributes,
  position: number,
  size: number,
  count: number,
  scale: number,
): number {
  switch (textOf(attributes, 'coordinate_transformation_mode', 'half_pixel')) {
    case 'asymmetric':
      return position / scale
    case 'align_corners':
      return count === 1 ? 0 : (position * (size - 1)) / (count - 1)
    case 'pytorch_half_pixel':
      return count > 1 ? (position + 0.5) / scale - 0.5 : 0
    case 'half_pixel_symmetric': {
      const adjustment = count / (scale * size)
      return (size / 2) * (1 - adjustment) + (position + 0.5) / scale - 0.5
    }
    default:
      return (position + 0.5) / scale - 0.5
  }
}

/** Input elements and weights at a coordinate. Elements outside repeat the nearest one inside. */
type Sampler = (at: number, attributes: Attributes, size: number) => [index: number, weight: number][]

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
    if (intOf(attributes, 'exclude_outside', 0) === 0) return taps
    const inside = taps.filter(([index]) => index >= 0 && index < size)
    const total = inside.reduce((sum, [, weight]) => sum + weight, 0)
    return inside.map(([index, weight]) => [index, weight / total])
  },
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
