/**
 * The optimizers that turn the mean update of many peers, each after several local steps, into the next parameters.
 *
 * Δ = mean of (start - end), so it points against the descent, like a gradient.
 *   plain     φ ← φ - η·Δ                       FedAvg when η = 1 (McMahan et al. 2017)
 *   nesterov  m ← μ·m + Δ ;  φ ← φ - η·(Δ + μ·m)   DiLoCo (Douillard et al. 2023, Alg. 1); torch.optim.SGD(nesterov=True)
 */
import type { FlatOptimizer } from './flat.ts'

/** No momentum, no state. */
export function plain(): FlatOptimizer {
  return {
    stateLength: () => 0,
    step(parameters, _state, average, { learningRate }) {
      const rate = Math.fround(learningRate)
      for (let i = 0; i < parameters.length; i++) {
        parameters[i] = parameters[i]! - Math.fround(rate * average[i]!)
      }
    },
  }
}

/** Nesterov momentum. `momentum` in [0, 1); published choices: 0.9 for dense updates, 0.5 for few or noisy peers. */
export function nesterov({ momentum }: { momentum: number }): FlatOptimizer {
  const mu = Math.fround(momentum)
  return {
    stateLength: (parameterCount) => parameterCount,
    step(parameters, state, average, { learningRate }) {
      const rate = Math.fround(learningRate)
      for (let i = 0; i < parameters.length; i++) {
        const delta = average[i]!
        const velocity = Math.fround(Math.fround(mu * state[i]!) + delta)
        state[i] = velocity
        const direction = Math.fround(delta + Math.fround(mu * velocity))
        parameters[i] = parameters[i]! - Math.fround(rate * direction)
      }
    },
  }
}
