/**
 * Lion inside a graph (Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023, Alg. 2):
 *   c = β1·m + (1 - β1)·g ;  φ ← φ·(1 - η·λ) - η·sign(c) ;  m ← β2·m + (1 - β2)·g
 * One slot, so half of AdamW's state; its learning rate is usually 3 to 10 times smaller. Only parameters of two or
 * more dimensions decay (nanoGPT's rule, as for AdamW).
 */
import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { decayed, type GraphOptimizer, likeParameter } from './graph-optimizer.ts'
import type { LionOptions } from './spec.ts'

export function graphLion({ beta1, beta2, weightDecay }: LionOptions): GraphOptimizer {
  return {
    slots: likeParameter('mean'),
    update(f, parameter, gradient, [mean], { learningRate }) {
      const direction = signOf(f, f.add(f.mul(mean!, beta1), f.mul(gradient, 1 - beta1)))
      const kept = decayed(f, parameter, weightDecay, learningRate)
      const newMean = f.add(f.mul(mean!, beta2), f.mul(gradient, 1 - beta2))
      return { parameter: f.sub(kept, f.mul(direction, learningRate)), slots: [newMean] }
    },
  }
}

/** -1, 0 or 1. WebGPU has no Sign, and comparisons everywhere agree on zero. */
function signOf(f: Formulas, x: Value): Value {
  return f.sub(f.cast(f.greater(x, 0), 'float32'), f.cast(f.greater(0, x), 'float32'))
}
