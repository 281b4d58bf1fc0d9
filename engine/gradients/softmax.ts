/** Gradients of softmax and its logarithm over one axis. */

import { type Formulas, positiveAxis } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { intOf } from '../onnx/graph.ts'
import { type Application, gradient, spelledForward, type Use } from './rule.ts'

export const softmax = {
  /**
   * dx = y·(dy - Σ dy·y); zero where a row of nothing but -∞ has no softmax and the model puts a number in its place
   */
  Softmax: gradient((application) => {
    const { f, dy } = application
    const y = withoutNaN(application)
    return f.mul(y, f.sub(dy, f.reduceSum(f.mul(dy, y), [axisOf(application)], true)))
  }),
  /** dx = dy - e^y·Σ dy */
  LogSoftmax: spelledForward(
    gradient((application) => {
      const { f, y, dy } = application
      return f.sub(dy, f.mul(f.exp(y[0]!), f.reduceSum(dy, [axisOf(application)], true)))
    }),
    (use) => {
      const { f, x } = use
      const shifted = f.sub(x[0]!, f.reduceMax(x[0]!, [axisOf(use)], true))
      return f.sub(shifted, f.log(f.reduceSum(f.exp(shifted), [axisOf(use)], true)))
    },
  ),
} as const

/**
 * y, or Where(IsNaN(y), c, y) if the model computes that: PyTorch writes its attention so, with c = 0, for queries
 * whose mask hides every key. There dy is zero, and zero times NaN is not.
 */
function withoutNaN({ f, y }: Application): Value {
  const name = y[0]!.name
  const { nodes } = f.builder
  const test = nodes.find(({ opType, inputs }) => opType === 'IsNaN' && inputs[0]?.name === name)
  if (test === undefined) return y[0]!
  const condition = test.outputs[0]!.name
  const choice = nodes.find(
    ({ opType, inputs }) => opType === 'Where' && inputs[0]?.name === condition && inputs[2]?.name === name,
  )
  return choice?.outputs[0] ?? y[0]!
}

/** Whether `dy` is what the softmax of `scores` gives as their gradient, and nothing else is added to it. */
export function isGradientOfSoftmax(f: Formulas, scores: Value, dy: Value): boolean {
  const product = f.builder.makerOf(dy)
  const shares = product?.opType === 'Mul' ? product.inputs[0]! : null
  const softmax = shares && f.builder.makerOf(shares)
  return softmax?.opType === 'Softmax' && f.builder.originOf(softmax.inputs[0]!).name === scores.name
}

function axisOf({ attributes, x }: Use): number {
  return positiveAxis(intOf(attributes, 'axis', -1), x[0]!.shape.length)
}
