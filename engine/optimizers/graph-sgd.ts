/**
 * SGD with momentum inside a graph, as torch.optim.SGD: g ← g + λ·φ ; m ← μ·m + g ; φ ← φ - η·m. Without momentum there is no
 * slot.
 */
import type { GraphOptimizer } from './graph-optimizer.ts'

/** `momentum`: μ in [0, 1). `weightDecay`: λ >= 0, of every parameter. */
export function graphSgd({
  momentum,
  weightDecay,
}: {
  momentum: number
  weightDecay: number
}): GraphOptimizer {
  return {
    slots: momentum === 0 ? [] : ['momentum'],
    update(f, parameter, gradient, [slot], { learningRate }) {
      const decayed = weightDecay === 0 ? gradient : f.add(gradient, f.mul(parameter, weightDecay))
      const direction = slot === undefined ? decayed : f.add(f.mul(slot, momentum), decayed)
      return {
        parameter: f.sub(parameter, f.mul(direction, learningRate)),
        slots: slot === undefined ? [] : [direction],
      }
    },
  }
}
