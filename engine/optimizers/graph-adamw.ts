/**
 * AdamW inside a graph (Loshchilov & Hutter, "Decoupled Weight Decay Regularization", 2019), as torch.optim.AdamW computes it:
 *   φ ← φ·(1 - η·λ)                              only parameters of two or more dimensions (nanoGPT's rule)
 *   m ← β1·m + (1 - β1)·g ;  v ← β2·v + (1 - β2)·g²
 *   φ ← φ - (η/(1 - β1^t))·m / (√v/√(1 - β2^t) + ε)
 * with both corrections moved into scalars, which saves two passes over each tensor:
 *   φ ← φ - (η·c/(1 - β1^t))·m / (√v + ε·c),  c = √(1 - β2^t)
 */
import type { Formulas } from '../onnx/formulas.ts'
import type { Value } from '../onnx/graph-builder.ts'
import type { GraphOptimizer, StepScalars } from './graph-optimizer.ts'

export interface GraphAdamWOptions {
  /** Decay of the mean of gradients, in [0, 1). */
  beta1: number
  /** Decay of the mean of squared gradients, in [0, 1). */
  beta2: number
  /** ε > 0, added to the denominator. */
  epsilon: number
  /** λ >= 0. */
  weightDecay: number
}

export function graphAdamW(options: GraphAdamWOptions): GraphOptimizer {
  const { beta1, beta2, weightDecay } = options
  return {
    slots: ['mean', 'square'],
    update(f, parameter, gradient, [mean, square], scalars) {
      const { rate, epsilon } = corrected(f, options, scalars)
      const newMean = f.add(f.mul(mean!, beta1), f.mul(gradient, 1 - beta1))
      const newSquare = f.add(f.mul(square!, beta2), f.mul(f.mul(gradient, gradient), 1 - beta2))
      const change = f.div(f.mul(newMean, rate), f.add(f.sqrt(newSquare), epsilon))
      const isDecayed = weightDecay > 0 && parameter.shape.length >= 2
      const kept = isDecayed
        ? f.mul(parameter, f.sub(1, f.mul(scalars.learningRate, weightDecay)))
        : parameter
      return { parameter: f.sub(kept, change), slots: [newMean, newSquare] }
    },
  }
}

/** η·c/(1 - β1^t) and ε·c. */
function corrected(
  f: Formulas,
  { beta1, beta2, epsilon }: GraphAdamWOptions,
  { learningRate, step }: StepScalars,
): { rate: Value; epsilon: Value } {
  const root = f.sqrt(f.sub(1, f.pow(beta2, step)))
  const rate = f.mul(learningRate, f.div(root, f.sub(1, f.pow(beta1, step))))
  return { rate, epsilon: f.mul(root, epsilon) }
}
