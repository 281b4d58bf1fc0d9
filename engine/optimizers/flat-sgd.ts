/**
 * SGD over a flat array, for jobs that average gradients. torch.optim.SGD's order of operations:
 *   g ← clip(g) + λ·φ ;  m ← μ·m + g ;  φ ← φ - η·m, or φ - η·(g + μ·m) after Nesterov      (state: m, absent when μ = 0)
 * torch starts m with the first gradient; zeros give the same.
 */
import { clipFactor, type FlatOptimizer } from './flat.ts'
import type { SgdOptions } from './spec.ts'

export function flatSgd(options: SgdOptions & { gradClip?: number }): FlatOptimizer {
  const { momentum, nesterov = false, weightDecay, gradClip } = options
  const mu = Math.fround(momentum)
  const decay = Math.fround(weightDecay)
  return {
    stateLength: (parameterCount) => (momentum === 0 ? 0 : parameterCount),
    step(parameters, state, average, { learningRate }) {
      const rate = Math.fround(learningRate)
      const clip = clipFactor(average, gradClip)
      for (let i = 0; i < parameters.length; i++) {
        const parameter = parameters[i]!
        const gradient = Math.fround(Math.fround(clip * average[i]!) + Math.fround(decay * parameter))
        let direction = gradient
        if (mu !== 0) {
          const velocity = Math.fround(Math.fround(mu * state[i]!) + gradient)
          state[i] = velocity
          direction = nesterov ? Math.fround(gradient + Math.fround(mu * velocity)) : velocity
        }
        parameters[i] = parameter - Math.fround(rate * direction)
      }
    },
  }
}
