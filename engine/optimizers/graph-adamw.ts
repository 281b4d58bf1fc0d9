/**
 * AdamW inside a graph (Loshchilov & Hutter, "Decoupled Weight Decay Regularization", 2019), as torch.optim.AdamW
 * computes it:
 *   φ ← φ·(1 - η·λ)                              only parameters of two or more dimensions (nanoGPT's rule)
 *   m ← β1·m + (1 - β1)·g ;  v ← β2·v + (1 - β2)·g²
 *   φ ← φ - (η/(1 - β1^t))·m / (√v/√(1 - β2^t) + ε)
 * The slots hold m/(1 - β1) and v/(1 - β2), and everything that is the same for all elements moves into two scalars,
 * which saves three of fourteen passes over each tensor:
 *   M ← β1·M + g ;  V ← β2·V + g² ;  φ ← φ - a·M / (√V + b)
 *   c = √((1 - β2^t)/(1 - β2)),  a = η·c·(1 - β1)/(1 - β1^t),  b = ε·c
 */
import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { decayed, type GraphOptimizer, likeParameter, type StepScalars } from './graph-optimizer.ts'
import type { AdamWOptions } from './spec.ts'

export function graphAdamW(options: AdamWOptions): GraphOptimizer {
  const { beta1, beta2, weightDecay } = options
  return {
    slots: likeParameter('mean', 'square'),
    update(f, parameter, gradient, [mean, square], scalars) {
      const { a, b } = stepScalars(f, options, scalars)
      const newMean = f.add(f.mul(mean!, beta1), gradient)
      const newSquare = f.add(f.mul(square!, beta2), f.mul(gradient, gradient))
      const change = f.div(f.mul(newMean, a), f.add(f.sqrt(newSquare), b))
      const kept = decayed(f, parameter, weightDecay, scalars.learningRate)
      return { parameter: f.sub(kept, change), slots: [newMean, newSquare] }
    },
  }
}

function stepScalars(
  f: Formulas,
  { beta1, beta2, epsilon }: AdamWOptions,
  { learningRate, step }: StepScalars,
): { a: Value; b: Value } {
  const c = f.sqrt(f.div(f.sub(1, f.pow(beta2, step)), 1 - beta2))
  const a = f.mul(learningRate, f.mul(c, f.div(1 - beta1, f.sub(1, f.pow(beta1, step)))))
  return { a, b: f.mul(c, epsilon) }
}
