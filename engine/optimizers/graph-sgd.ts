/**
 * SGD with momentum inside a graph, as torch.optim.SGD: g ← g + λ·φ ; m ← μ·m + g ; φ ← φ - η·m, or φ - η·(g + μ·m)
 * after Nesterov. Without momentum there is no slot.
 */
import { type GraphOptimizer, likeParameter } from './graph-optimizer.ts'
import type { SgdOptions } from './spec.ts'

export function graphSgd({ momentum, nesterov = false, weightDecay }: SgdOptions): GraphOptimizer {
  return {
    slots: momentum === 0 ? () => [] : likeParameter('momentum'),
    update(f, parameter, gradient, [slot], { learningRate }) {
      const decayed = weightDecay === 0 ? gradient : f.add(gradient, f.mul(parameter, weightDecay))
      if (slot === undefined) return { parameter: f.sub(parameter, f.mul(decayed, learningRate)), slots: [] }
      const velocity = f.add(f.mul(slot, momentum), decayed)
      const direction = nesterov ? f.add(decayed, f.mul(velocity, momentum)) : velocity
      return { parameter: f.sub(parameter, f.mul(direction, learningRate)), slots: [velocity] }
    },
  }
}
