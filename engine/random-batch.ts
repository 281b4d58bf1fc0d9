/** A batch of random samples and labels for a program: to measure or to check one where no data set is at hand. */
import type { Random } from '../protocols/core/random.ts'
import type { Batch, Tensor } from '../protocols/core/tensor.ts'
import type { ProgramInput, TrainingProgram } from './program.ts'

/**
 * float32 samples and targets are normally distributed; token ids and labels are uniform among the classes, ids of a model
 * without classes 0 or 1. The caller owns the arrays.
 */
export function randomBatch(
  { inputs, labels, classes }: Pick<TrainingProgram, 'inputs' | 'labels' | 'classes'>,
  random: Random,
): Batch {
  const bound = classes ?? 2
  const samples = inputs.map((input) => [input.name, filled(input, bound, random)] as const)
  return { inputs: Object.fromEntries(samples), labels: filled(labels, bound, random) }
}

function filled({ dtype, shape }: ProgramInput, bound: number, random: Random): Tensor {
  const length = shape.reduce((product, size) => product * size, 1)
  return dtype === 'float32'
    ? { dtype, shape, data: Float32Array.from({ length }, () => random.normal()) }
    : { dtype, shape, data: Int32Array.from({ length }, () => random.integer(bound)) }
}
