/**
 * SGD over a flat array, for jobs that average gradients. torch.optim.SGD's order of operations:
 *   g ← clip(g) + λ·φ ;  m ← μ·m + g ;  φ ← φ - η·m      (state: m, absent when μ = 0)
 * torch starts m with the first gradient; zeros give the same.
 */
import { clipFactor, type FlatOptimizer } from './flat.ts'

export interface FlatSgdOptions {
  /** μ, in [0, 1). */
  momentum: number
  /** λ, of every parameter; >= 0. */
  weightDecay: number
  /** Largest Euclidean norm of the whole gradient; none by default. */
  gradClip?: number
}

export function flatSgd({ momentum, weightDecay, gradClip }: FlatSgdOptions): FlatOptimizer {
  const mu = Math.fround(momentum)
  const decay = Math.fround(weightDecay)
  return {
    stateLength: (parameterCount) => (momentum === 0 ? 0 : parameterCount),
    step(parameters, state, average, { learningRate }) {
      const rate = Math.fround(learningRate)
      const clip = clipFactor(average, gradClip)
      for (let i = 0; i < parameters.length; i++) {
        const parameter = parameters[i]!
        let direction = Math.fround(Math.fround(clip * average[i]!) + Math.fround(decay * parameter))
        if (mu !== 0) {
          direction = Math.fround(Math.fround(mu * state[i]!) + direction)
          state[i] = direction
        }
        parameters[i] = parameter - Math.fround(rate * direction)
      }
    },
  }
}
