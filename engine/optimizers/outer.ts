/**
 * The optimizers that turn the mean update of many peers, each after several local steps, into the next parameters.
 *
 * Δ = mean of (start - end), so it points against the descent, like a gradient.
 *   plain     φ ← φ - η·Δ                       FedAvg when η = 1 (McMahan et al. 2017)
 *   nesterov  m ← μ·m + Δ ;  φ ← φ - η·(Δ + μ·m)   DiLoCo (Douillard et al. 2023, Alg. 1); torch.optim.SGD(nesterov=True)
 *
 * In round n, from 1, μ is (n - 1)/(n + 2) until that passes the job's momentum: Nesterov's own sequence (1983; as a
 * schedule for networks: Sutskever et al. 2013). 0.9 remembers ten rounds, and the first ones lead elsewhere than the
 * later ones: fixed, it harms runs of tens of rounds, while runs of a hundred need it (docs/decisions/0014).
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

/** Nesterov momentum. `momentum` in [0, 1): what it rises to. */
export function nesterov({ momentum }: { momentum: number }): FlatOptimizer {
  return {
    stateLength: (parameterCount) => parameterCount,
    step(parameters, state, average, { learningRate, stepNumber }) {
      const mu = Math.fround(Math.min(momentum, (stepNumber - 1) / (stepNumber + 2)))
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
