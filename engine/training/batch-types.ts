/**
 * Whether a batch has the tensors that a program takes, of any number of samples. How they are cut is
 * micro-batches.ts's.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import type { Batch } from '../../protocols/core/tensor.ts'
import type { TrainingProgram } from '../program/training-program.ts'

/** @throws {SwarmError} DATA_INVALID naming the tensor that is missing or of another type. */
export function requireTypes(
  batch: Batch,
  { inputs, labels }: Pick<TrainingProgram, 'inputs' | 'labels'>,
): void {
  for (const input of inputs) {
    const samples = batch.inputs[input.name]
    if (samples === undefined) {
      throw new SwarmError('DATA_INVALID', `batch has no input '${input.name}'`, {
        hint: `Name the data set's field for the model's input '${input.name}' in the job's model.inputs.`,
      })
    }
    requireType(`input '${input.name}'`, samples, input)
  }
  requireType('labels', batch.labels, labels)
}

type Type = Readonly<{ dtype: string; shape: readonly number[] }>

/** The number of samples, which comes first, is free. */
function requireType(what: string, actual: Type, expected: Type): void {
  const describe = ({ dtype, shape }: Type, count: string) =>
    `${dtype} [${[count, ...shape.slice(1)].join(', ')}]`
  if (describe(actual, 'n') === describe(expected, 'n')) return
  throw new SwarmError(
    'DATA_INVALID',
    `${what} of the batch is ${describe(actual, `${actual.shape[0]}`)}, the model takes ${describe(expected, 'n')}`,
    { hint: 'Check the sample shape of the data set against the model.' },
  )
}
