/**
 * A flat optimizer for a vector that also holds statistics, which stand after all weights (protocols/core/tensor.ts).
 *
 * An average's entry of a statistic is its value minus the mean of the peers' next ones. It is subtracted as it is: a
 * momentum, a decay, a clipped norm or a learning rate would leave a value that nobody measured. The optimizer sees
 * only the weights.
 */
import type { ParameterSpec } from '../../protocols/core/tensor.ts'
import type { FlatOptimizer } from './flat.ts'

/** `optimizer` for the weights among `parameters`; `optimizer` itself when they are all weights. */
export function besideStatistics(
  optimizer: FlatOptimizer,
  parameters: readonly ParameterSpec[],
): FlatOptimizer {
  const first = parameters.find(({ kind }) => kind === 'statistic')
  if (first === undefined) return optimizer
  const weightCount = first.offset
  return {
    stateLength: () => optimizer.stateLength(weightCount),
    step(values, state, average, step) {
      optimizer.step(values.subarray(0, weightCount), state, average.subarray(0, weightCount), step)
      for (let i = weightCount; i < values.length; i++) values[i] = values[i]! - average[i]!
    },
  }
}
