/** Samples that fit a program and mean nothing: for timing a step before the first real sample has arrived. */
import { seededRandom } from '../protocols/core/random.ts'
import type { Batch, Tensor } from '../protocols/core/tensor.ts'
import { sizeOf } from './onnx/types.ts'
import type { TrainingProgram } from './program.ts'

type Type = TrainingProgram['input'] | TrainingProgram['labels']

/** One batch of `program`: real numbers uniform in [0, 1), every token and class 0, which all models have. */
export function madeUpBatch({ input, labels }: Pick<TrainingProgram, 'input' | 'labels'>): Batch {
  const random = seededRandom(1)
  const filled = ({ dtype, shape }: Type): Tensor => {
    const length = sizeOf(shape)
    const data =
      dtype === 'float32' ? Float32Array.from({ length }, () => random.next()) : new Int32Array(length)
    return { dtype, shape, data }
  }
  return { inputs: { [input.name]: filled(input) }, labels: filled(labels) }
}
