/**
 * Regions of an image brought to one size, spelled out. The regions themselves do not move, as in torchvision.
 *
 * By means (He et al., "Mask R-CNN", 2017, section 3): bilinear sampling at places that form a grid is a product of
 * rows' weights and columns' weights, Y = A·X·Bᵀ, where A and B hold the mean weight of each element for each row or
 * column of bins. By maxima (Girshick, "Fast R-CNN", 2015, section 2.1): a bin is a rectangle of elements, whose
 * maximum is that of its rows' maxima.
 */

import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { floatOf, int, intOf, intsOf, textOf } from '../onnx/graph.ts'
import { spelled, type Use, unsupportedUse } from './rule.ts'

export const regions = {
  /** X `[N, C, H, W]`, regions `[R, 4]` as x1, y1, x2, y2, images `[R]` → `[R, C, bins, bins]` */
  RoiAlign: spelled(
    (use) => {
      const { f, x, attributes } = use
      const [image, , numbers] = x as [Value, Value, Value]
      const [height, width] = image.shape.slice(2) as [number, number]
      if (textOf(attributes, 'mode', 'avg') !== 'avg') {
        throw unsupportedUse(use, 'it takes the largest sample', 'Average: mode="avg".')
      }
      const rows = axisWeights(use, 1, height, intOf(attributes, 'output_height', 1))
      const columns = axisWeights(use, 0, width, intOf(attributes, 'output_width', 1))
      const taken = imagesOf(f, image, numbers)
      return f.matmul(f.matmul(rows, taken), f.transposeMatrix(columns))
    },
    [1, 2],
  ),
  /**
   * X `[N, C, H, W]`, regions `[R, 5]` as image, x1, y1, x2, y2 → `[R, C, ...bins]`; a bin that holds no element is 0
   */
  MaxRoiPool: spelled(
    (use) => {
      const { f, x, attributes } = use
      const [image, boxes] = x as [Value, Value]
      const [, channels, height, width] = image.shape as [number, number, number, number]
      const [rows, columns] = intsOf(attributes, 'pooled_shape') as [number, number]
      const count = boxes.shape[0]!
      const numbers = f.cast(f.slice(boxes, [{ axis: 1, start: 0, count: 1 }]), 'int32')
      const taken = imagesOf(f, image, f.reshape(numbers, [count]))
      const inRow = f.reshape(binsOf(use, 2, height, rows), [count, 1, rows, height, 1])
      const ofRows = f.where(inRow, f.reshape(taken, [count, channels, 1, height, width]), lowest)
      const maxima = f.reshape(f.reduceMax(ofRows, [3]), [count, channels, rows, 1, width])
      const inColumn = f.reshape(binsOf(use, 1, width, columns), [count, 1, 1, columns, width])
      const largest = f.reduceMax(f.where(inColumn, maxima, lowest), [4])
      return f.where(f.greater(largest, lowest), largest, 0)
    },
    [1],
  ),
} as const

/** The lowest float32: what stands for an element outside a bin. */
const lowest = -3.4028234663852886e38

/** The image of each region: `[R, C, H, W]`. */
function imagesOf(f: Formulas, image: Value, numbers: Value): Value {
  const type = { dtype: image.dtype, shape: [numbers.shape[0]!, ...image.shape.slice(1)] }
  return f.builder.emit('Gather', [image, numbers], { axis: int(0) }, type)
}

/**
 * `[R, bins, size]`, truth values: which elements of one axis lie in each bin. Ends are rounded to elements and both
 * belong to the region; bin i goes from ⌊i·extent/bins⌋ to ⌈(i + 1)·extent/bins⌉, so that neighbours share one.
 * `column`: of the region's start.
 */
function binsOf({ f, x, attributes }: Use, column: 1 | 2, size: number, bins: number): Value {
  const scale = floatOf(attributes, 'spatial_scale', 1)
  const edge = (index: number) => {
    const scaled = f.mul(f.slice(x[1]!, [{ axis: 1, start: index, count: 1 }]), scale)
    return f.unary('Floor', f.add(scaled, 0.5))
  }
  const start = edge(column)
  const extent = f.max(f.add(f.sub(edge(column + 2), start), 1), 1)
  const steps = (length: number, first: number) => Float32Array.from({ length }, (_, step) => step + first)
  const count = x[1]!.shape[0]!
  const place = (first: number) => f.div(f.mul(extent, f.tensor(steps(bins, first), [1, bins])), bins)
  const low = f.reshape(f.add(f.unary('Floor', place(0)), start), [count, bins, 1])
  const high = f.reshape(f.add(f.unary('Ceil', place(1)), start), [count, bins, 1])
  const elements = f.tensor(steps(size, 0), [1, 1, size])
  const isBefore = f.where(f.greater(high, elements), 1, 0)
  return f.greater(f.where(f.greaterOrEqual(elements, low), isBefore, 0), 0)
}

/**
 * `[R, 1, bins, size]`: what each element of one axis of the image weighs in each bin. `column`: of the region's start.
 */
function axisWeights(use: Use, column: 0 | 1, size: number, bins: number): Value {
  const { f, x, attributes } = use
  const samples = intOf(attributes, 'sampling_ratio', 0)
  if (samples < 1) {
    throw unsupportedUse(use, 'it takes as many samples as the region is large', 'Fix its sampling_ratio.')
  }
  const isHalfPixel = textOf(attributes, 'coordinate_transformation_mode', 'half_pixel') === 'half_pixel'
  const scale = floatOf(attributes, 'spatial_scale', 1)
  const count = x[1]!.shape[0]!
  const edge = (index: number) => {
    const scaled = f.mul(f.slice(x[1]!, [{ axis: 1, start: index, count: 1 }]), scale)
    return isHalfPixel ? f.sub(scaled, 0.5) : scaled
  }
  const start = edge(column)
  const extent = f.sub(edge(column + 2), start)
  const length = isHalfPixel ? extent : f.max(extent, 1) // older models: no region is smaller than an element
  const shares = Float32Array.from({ length: bins * samples }, (_, place) => (place + 0.5) / (bins * samples))
  const places = f.add(f.mul(length, f.tensor(shares, [1, bins * samples])), start)
  const weights = f.reshape(hats(f, places, size), [count, 1, bins, samples, size])
  return f.reduceMean(weights, [3])
}

/**
 * `[R, places, size]`: 1 at an element, falling to 0 at its neighbours; 0 for a place more than one element outside.
 */
function hats(f: Formulas, places: Value, size: number): Value {
  const shape = [...places.shape, 1]
  const inside = f.reshape(f.min(f.max(places, 0), size - 1), shape)
  const elements = f.tensor(
    Float32Array.from({ length: size }, (_, index) => index),
    [size],
  )
  const hat = f.max(f.sub(1, f.unary('Abs', f.sub(inside, elements))), 0)
  const isNear = f.where(f.greaterOrEqual(places, -1), f.where(f.greaterOrEqual(size, places), 1, 0), 0)
  return f.mul(hat, f.reshape(isNear, shape))
}
