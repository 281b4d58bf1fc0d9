/**
 * Regions of an image brought to one size (He et al., "Mask R-CNN", 2017, section 3), spelled out. Bilinear sampling at places that form
 * a grid is a product of rows' weights and columns' weights: Y = A·X·Bᵀ, where A and B hold the mean weight of each element for
 * each row or column of bins. The regions themselves do not move, as in torchvision.
 */

import type { Formulas } from '../onnx/formulas.ts'
import { floatOf, int, intOf, textOf } from '../onnx/graph.ts'
import type { Value } from '../onnx/graph-builder.ts'
import { spelled, type Use, unsupportedUse } from './rule.ts'

export const regions = {
  /** X `[N, C, H, W]`, regions `[R, 4]` as x1, y1, x2, y2, images `[R]` → `[R, C, bins, bins]` */
  RoiAlign: spelled(
    (use) => {
      const { f, x, attributes } = use
      const [image, boxes, numbers] = x as [Value, Value, Value]
      const [, channels, height, width] = image.shape as [number, number, number, number]
      if (textOf(attributes, 'mode', 'avg') !== 'avg') {
        throw unsupportedUse(use, 'it takes the largest sample', 'Average: mode="avg".')
      }
      const rows = axisWeights(use, 1, height, intOf(attributes, 'output_height', 1))
      const columns = axisWeights(use, 0, width, intOf(attributes, 'output_width', 1))
      const taken = f.builder.emit(
        'Gather',
        [image, numbers],
        { axis: int(0) },
        {
          dtype: image.dtype,
          shape: [boxes.shape[0]!, channels, height, width],
        },
      )
      return f.matmul(f.matmul(rows, taken), f.transposeMatrix(columns))
    },
    [1, 2],
  ),
} as const

/** `[R, 1, bins, size]`: what each element of one axis of the image weighs in each bin. `column`: of the region's start. */
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

/** `[R, places, size]`: 1 at an element, falling to 0 at its neighbours; 0 for a place more than one element outside. */
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
