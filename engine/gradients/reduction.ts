/** Gradients of reductions: dy, with the reduced axes put back, spread over what was reduced. */

import { allAxes, positiveAxis } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { intOf } from '../onnx/graph.ts'
import { numbersOf, sizeOf } from '../onnx/types.ts'
import { type Application, constant, gradient, spelled, type Use } from './rule.ts'

/** What a reduction's formula works with: dy and y with the reduced axes kept, so that both broadcast against x. */
interface Reduced {
  x: Value
  y: Value
  dy: Value
  /** Elements that make one element of y. */
  count: number
}

const reduction = (formula: (application: Application, reduced: Reduced) => Value) =>
  gradient((application) => {
    const [x] = application.x as [Value]
    const axes = reducedAxes(application)
    const kept = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size))
    const put = (value: Value) => application.f.reshape(value, kept)
    const count = sizeOf(x.shape) / sizeOf(kept)
    return formula(application, { x, y: put(application.y[0]!), dy: put(application.dy), count })
  }, null)

export const reductions = {
  /** dx = dy */
  ReduceSum: reduction(({ f }, { x, dy }) => f.expand(dy, x.shape)),
  /** dx = dy/n */
  ReduceMean: reduction(({ f }, { x, dy, count }) => f.expand(f.div(dy, count), x.shape)),
  /** dx = dy·2x */
  ReduceSumSquare: reduction(({ f }, { x, dy }) => f.mul(f.mul(dy, 2), x)),
  /** dx = dy·sign(x) */
  ReduceL1: reduction(({ f }, { x, dy }) =>
    f.where(f.greater(x, 0), dy, f.where(f.greater(0, x), f.neg(dy), 0)),
  ),
  /** dx = dy·x/y ; 0 where y = 0, as torch */
  ReduceL2: reduction(({ f }, { x, y, dy }) => f.mul(f.div(dy, f.where(f.greater(y, 0), y, 1)), x)),
  /** dx = dy/Σx */
  ReduceLogSum: reduction(({ f }, { x, y, dy }) => f.expand(f.div(dy, f.exp(y)), x.shape)),
  /** dx = dy·e^(x - y) */
  ReduceLogSumExp: reduction(({ f }, { x, y, dy }) => f.mul(dy, f.exp(f.sub(x, y)))),
  /** dx = dy where x = y, shared by all that reach it, as torch.amax */
  ReduceMax: reduction(extreme),
  ReduceMin: reduction(extreme),
  /** Πx, spelled out as products of halves: exact where an element is zero, as torch.prod */
  ReduceProd: spelled(product, [1]),
  ArgMax: constant('its output is an index'),
  ArgMin: constant('its output is an index'),
} as const

function extreme(application: Application, { x, y, dy }: Reduced): Value {
  const { f } = application
  const mask = f.cast(f.equal(x, y), 'float32')
  return f.mul(mask, f.div(dy, f.reduceSum(mask, reducedAxes(application), true)))
}

function reducedAxes({ f, x, has, attributes }: Use): number[] {
  const listed = has(1) ? numbersOf(f.constantOf(x[1]!)!) : []
  if (listed.length > 0) return listed.map((axis) => positiveAxis(axis, x[0]!.shape.length))
  return intOf(attributes, 'noop_with_empty_axes', 0) === 1 ? [] : allAxes(x[0]!)
}

function product(use: Use): Value {
  const { f, x, attributes } = use
  const axes = reducedAxes(use)
  const kept = x[0]!.shape.map((size, axis) => (axes.includes(axis) ? 1 : size))
  const value = axes.reduce((rest, axis) => productAlong(use, rest, axis), x[0]!)
  if (intOf(attributes, 'keepdims', 1) === 1) return value
  return f.reshape(
    value,
    kept.filter((_, axis) => !axes.includes(axis)),
  )
}

/** The product along `axis`, which keeps size 1: the front half times the back half, until one element is left. */
function productAlong({ f }: Use, x: Value, axis: number): Value {
  let rest = x
  if (rest.shape[axis] === 0) return f.full(x.shape.with(axis, 1), 1)
  while (rest.shape[axis]! > 1) {
    const half = Math.floor(rest.shape[axis]! / 2)
    const part = (start: number, count: number) => f.slice(rest, [{ axis, start, count }])
    const halves = f.mul(part(0, half), part(half, half))
    const isOdd = rest.shape[axis]! % 2 === 1
    rest = isOdd ? f.concat([halves, part(2 * half, 1)], axis) : halves
  }
  return rest
}
