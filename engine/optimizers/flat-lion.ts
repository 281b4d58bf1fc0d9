/**
 * Lion over a flat array, for jobs that average gradients (Chen et al. 2023, Alg. 2):
 *   c = β1·m + (1 - β1)·g ;  φ ← φ·(1 - η·λ) - η·sign(c) ;  m ← β2·m + (1 - β2)·g
 * State: m. Only tensors with two or more dimensions decay, as in the graph (graph-lion.ts).
 */
import type { ParameterSpec } from '../../protocols/core/tensor.ts'
import { clipFactor, type FlatOptimizer } from './flat.ts'
import type { LionOptions } from './spec.ts'

/** `specs`: the model's weights, which tell where in the flat array decay applies. */
export function flatLion(
  options: LionOptions & { gradClip?: number },
  specs: readonly ParameterSpec[],
): FlatOptimizer {
  const [beta1, rest1] = [Math.fround(options.beta1), Math.fround(1 - options.beta1)]
  const [beta2, rest2] = [Math.fround(options.beta2), Math.fround(1 - options.beta2)]
  return {
    stateLength: (parameterCount) => parameterCount,
    step(parameters, state, average, { learningRate }) {
      const clip = clipFactor(average, options.gradClip)
      const rate = Math.fround(learningRate)
      const decay = Math.fround(1 - learningRate * options.weightDecay)
      for (const { offset, length, shape } of specs) {
        const keep = shape.length >= 2 ? decay : 1
        for (let i = offset; i < offset + length; i++) {
          const gradient = Math.fround(clip * average[i]!)
          const mean = state[i]!
          const direction = Math.fround(Math.fround(beta1 * mean) + Math.fround(rest1 * gradient))
          parameters[i] = Math.fround(keep * parameters[i]!) - Math.fround(rate * Math.sign(direction))
          state[i] = Math.fround(beta2 * mean) + Math.fround(rest2 * gradient)
        }
      }
    },
  }
}
