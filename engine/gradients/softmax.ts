/** Gradients of softmax and its logarithm over one axis. */

import { positiveAxis } from '../onnx/formulas.ts'
import { intOf } from '../onnx/graph.ts'
import { gradient, spelledForward, type Use } from './rule.ts'

export const softmax = {
  /** dx = y·(dy - Σ dy·y) */
  Softmax: gradient((application) => {
    const { f, y, dy } = application
    return f.mul(y[0]!, f.sub(dy, f.reduceSum(f.mul(dy, y[0]!), [axisOf(application)], true)))
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

function axisOf({ attributes, x }: Use): number {
  return positiveAxis(intOf(attributes, 'axis', -1), x[0]!.shape.length)
}
