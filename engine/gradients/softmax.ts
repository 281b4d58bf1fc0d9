/** Gradients of softmax and its logarithm over one axis. */

import { positiveAxis } from '../onnx/formulas.ts'
import { intOf } from '../onnx/graph.ts'
import { type Application, gradient } from './rule.ts'

export const softmax = {
  /** dx = y·(dy - Σ dy·y) */
  Softmax: gradient((application) => {
    const { f, y, dy } = application
    return f.mul(y[0]!, f.sub(dy, f.reduceSum(f.mul(dy, y[0]!), [axisOf(application)], true)))
  }),
  /** dx = dy - e^y·Σ dy */
  LogSoftmax: gradient((application) => {
    const { f, y, dy } = application
    return f.sub(dy, f.mul(f.exp(y[0]!), f.reduceSum(dy, [axisOf(application)], true)))
  }),
} as const

function axisOf({ attributes, dy }: Application): number {
  return positiveAxis(intOf(attributes, 'axis', -1), dy.shape.length)
}
