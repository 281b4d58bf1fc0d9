/**
 * What an optimizer inside a training graph is: from parameters, gradients and slots to new parameters and new slots.
 * Slots start at zero, stay on the device and belong to one peer; optimizers that all peers must agree on are flat
 * ones.
 */
import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { sizeOf, type TensorType } from '../onnx/types.ts'

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

/** A tensor of state that belongs to one parameter. */
export interface Slot {
  readonly name: string
  readonly shape: readonly number[]
}

export interface GraphOptimizer {
  /** The slots of a parameter. */
  slots(parameter: TensorType): readonly Slot[]
  /** One step for one parameter. `slots`: one value for each of its slots. */
  update(
    f: Formulas,
    parameter: Value,
    gradient: Value,
    slots: readonly Value[],
    scalars: StepScalars,
  ): Updated
}

/** Slots of the parameter's own shape. */
export function likeParameter(...names: readonly string[]): GraphOptimizer['slots'] {
  return ({ shape }) => names.map((name) => ({ name, shape }))
}

/** φ·(1 - η·λ) for a parameter of two or more dimensions (nanoGPT's rule), φ for others. */
export function decayed(f: Formulas, parameter: Value, weightDecay: number, learningRate: Value): Value {
  if (weightDecay === 0 || parameter.shape.length < 2) return parameter
  return f.mul(parameter, f.sub(1, f.mul(learningRate, weightDecay)))
}

/** Σ g² over the elements of all `gradients`, shape []. */
export function squaredNorm(f: Formulas, gradients: readonly Value[]): Value {
  const squares = gradients.map((gradient) =>
    f.reduceSumSquare(f.reshape(gradient, [sizeOf(gradient.shape)]), [0], true),
  )
  return f.reduceSum(f.concat(squares, 0), [0])
}

/**
 * `gradients` scaled so that the Euclidean norm of all of them together is at most `normMax`, as torch's
 * `clip_grad_norm_` does: by min(1, normMax / (norm + 1e-6)).
 */
export function clipByNorm(f: Formulas, gradients: readonly Value[], normMax: number): Value[] {
  const norm = f.sqrt(squaredNorm(f, gradients))
  const factor = f.min(f.div(normMax, f.add(norm, 1e-6)), 1)
  return gradients.map((gradient) => f.mul(gradient, factor))
}
