/** Samples that fit a program and mean nothing: for timing a step before the first real sample has arrived. */
import { seededRandom } from '../protocols/core/random.ts'
import type { Batch, Tensor } from '../protocols/core/tensor.ts'
import { sizeOf } from './onnx/types.ts'
import type { ProgramInput, TrainingProgram } from './program.ts'

/** One batch of `program`: real numbers uniform in [0, 1), every token and class 0, which all models have. */
export function madeUpBatch({ inputs, labels }: Pick<TrainingProgram, 'inputs' | 'labels'>): Batch {
  const random = seededRandom(1)
  const filled = ({ dtype, shape }: ProgramInput): Tensor => {
    const length = sizeOf(shape)
    const data =
      dtype === 'float32' ? Float32Array.from({ length }, () => random.next()) : new Int32Array(length)
    return { dtype, shape, data }
  }
  const samples = inputs.map((input) => [input.name, filled(input)] as const)
  return { inputs: Object.fromEntries(samples), labels: filled(labels) }
}
