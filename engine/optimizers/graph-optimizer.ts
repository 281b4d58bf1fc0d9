/**
 * What an optimizer inside a training graph is: from parameters, gradients and slots to new parameters and new slots. Slots
 * start at zero, stay on the device and belong to one peer; optimizers that all peers must agree on are flat ones.
 */
import type { Formulas } from '../onnx/formulas.ts'
import type { Value } from '../onnx/graph-builder.ts'
import { sizeOf } from '../onnx/types.ts'

/** float32 scalars that change from step to step. */
export interface StepScalars {
  readonly learningRate: Value
  /** Number of the step, from 1. */
  readonly step: Value
}

export interface Updated {
  readonly parameter: Value
  /** In the order of `slots`. */
  readonly slots: readonly Value[]
}

export interface GraphOptimizer {
  /** Names of the slots that each parameter has; each has the parameter's shape. */
  readonly slots: readonly string[]
  /** One step for one parameter. `slots`: one value for each name. */
  update(
    f: Formulas,
    parameter: Value,
    gradient: Value,
    slots: readonly Value[],
    scalars: StepScalars,
  ): Updated
}

/**
 * `gradients` scaled so that the Euclidean norm of all of them together is at most `normMax`, as torch's
 * `clip_grad_norm_` does: by min(1, normMax / (norm + 1e-6)).
 */
export function clipByNorm(f: Formulas, gradients: readonly Value[], normMax: number): Value[] {
  const squares = gradients.map((gradient) =>
    f.reduceSumSquare(f.reshape(gradient, [sizeOf(gradient.shape)]), [0], true),
  )
  const norm = f.sqrt(f.reduceSum(f.concat(squares, 0), [0]))
  const factor = f.min(f.div(normMax, f.add(norm, 1e-6)), 1)
  return gradients.map((gradient) => f.mul(gradient, factor))
}
