/** A batch of random samples and labels for a program: to time or to check one where no data set is at hand. */
import type { Random } from '../../protocols/core/random.ts'
import type { Batch, Tensor } from '../../protocols/core/tensor.ts'
import { sizeOf } from '../onnx/types.ts'
import type { ProgramInput, TrainingProgram } from '../program/training-program.ts'

/**
 * float32 samples and targets are normally distributed; token ids and labels are uniform in [0, `idsBelow`): by default
 * among the classes, 0 or 1 in a model without any. With 1 all are 0, which every model's tables have. The caller owns
 * the arrays.
 */
export function randomBatch(
  { inputs, labels, classes }: Pick<TrainingProgram, 'inputs' | 'labels' | 'classes'>,
  random: Random,
  { idsBelow = classes ?? 2 } = {},
): Batch {
  const samples = inputs.map((input) => [input.name, filled(input, idsBelow, random)] as const)
  return { inputs: Object.fromEntries(samples), labels: filled(labels, idsBelow, random) }
}

function filled({ dtype, shape }: ProgramInput, bound: number, random: Random): Tensor {
  const length = sizeOf(shape)
  return dtype === 'float32'
    ? { dtype, shape, data: Float32Array.from({ length }, () => random.normal()) }
    : { dtype, shape, data: Int32Array.from({ length }, () => random.integer(bound)) }
}
