/**
 * Gradients of running sums and products along an axis.
 *
 * A running product is spelled out as log₂ n products of shifted copies (Hillis & Steele, "Data parallel algorithms",
 * 1986): the gradient y/x of the textbook is undefined where an element is zero, the copies' is exact there.
 */

import { type Formulas, positiveAxis } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { type Attributes, int, intOf } from '../onnx/graph.ts'
import { fixedNumbers, gradient, spelled, type Use } from './rule.ts'

export const cumulative = {
  /** y_i = Σ_{j <= i} x_j: dx_j = Σ_{i >= j} dy_i, the sum in the other direction */
  CumSum: gradient((application) => {
    const { f, x, dy, attributes } = application
    const reverse = int(1 - intOf(attributes, 'reverse', 0))
    return f.builder.emit('CumSum', [dy, x[1]!], { ...attributes, reverse } satisfies Attributes, dy)
  }, null),
  /** y_i = Π_{j <= i} x_j */
  CumProd: spelled(cumulativeProduct, [1]),
} as const

function cumulativeProduct(use: Use): Value {
  const { f, x, attributes } = use
  const axis = positiveAxis(fixedNumbers(use, 1, 'axes')[0]!, x[0]!.shape.length)
  const size = x[0]!.shape[axis]!
  const isReversed = intOf(attributes, 'reverse', 0) === 1
  let product = intOf(attributes, 'exclusive', 0) === 1 ? shifted(f, x[0]!, axis, 1, isReversed) : x[0]!
  for (let distance = 1; distance < size; distance *= 2) {
    product = f.mul(product, shifted(f, product, axis, distance, isReversed))
  }
  return product
}

/** `x` moved by `distance` along `axis`, ones in the place of what moved in. */
function shifted(f: Formulas, x: Value, axis: number, distance: number, isReversed: boolean): Value {
  const along = (count: number) => x.shape.map((_, index) => (index === axis ? count : 0))
  const kept = x.shape[axis]! - distance
  const cut = f.slice(x, [{ axis, start: isReversed ? distance : 0, count: kept }])
  return isReversed ? f.pad(cut, along(0), along(distance), 1) : f.pad(cut, along(distance), along(0), 1)
}
