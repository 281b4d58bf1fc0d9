/** From samples to the tensors of one step: gather by index, convert to the dtype and the shape that the model wants. */

import { assert } from '../protocols/core/assert.ts'
import { SwarmError } from '../protocols/core/errors.ts'
import type { Batch, Tensor } from '../protocols/core/tensor.ts'
import { type Field, type Split, sampleLength } from './data-set.ts'

/** What the model takes. Shapes include the batch dimension, whose size here is ignored: the indices decide it. */
export interface BatchSpec {
  input: { name: string; dtype: 'float32' | 'int32'; shape: readonly number[] }
  labels: { dtype: 'float32' | 'int32'; shape: readonly number[] }
}

/**
 * The samples `indices` (each 0 … count − 1) of `split`, in that order. The tensors are new and belong to the caller.
 *
 * Pixels become `value / 255` in float32, tokens and labels become int32. A sample may be reshaped, as from `[28, 28]` to
 * `[1, 28, 28]`, but not resized.
 * @throws {SwarmError} DATA_INVALID when the samples do not fit the model.
 */
export function batch(split: Split, indices: ArrayLike<number>, spec: BatchSpec): Batch {
  const { x, y } = split.fields
  const inputs = gather(x, split.count, indices, spec.input, `input "${spec.input.name}"`)
  return {
    inputs: { [spec.input.name]: inputs },
    labels: gather(y, split.count, indices, spec.labels, 'labels'),
  }
}

function gather(
  field: Field,
  count: number,
  indices: ArrayLike<number>,
  wanted: BatchSpec['labels'],
  name: string,
): Tensor {
  const length = sampleLength(field)
  const shape = [indices.length, ...wanted.shape.slice(1)]
  checkFits(field, length, wanted, name)
  const Target = wanted.dtype === 'float32' ? Float32Array : Int32Array
  const data = new Target(indices.length * length)
  for (let row = 0; row < indices.length; row++) {
    const index = indices[row]!
    assert(index >= 0 && index < count, `sample ${index} of ${count}`)
    const start = index * field.stride
    const sample = field.data.subarray(start, start + length)
    if (field.divisor === 255) for (let k = 0; k < length; k++) data[row * length + k] = sample[k]! / 255
    else data.set(sample, row * length)
  }
  return { dtype: wanted.dtype, shape, data }
}

function checkFits(field: Field, length: number, wanted: BatchSpec['labels'], name: string): void {
  const perSample = wanted.shape.slice(1)
  if (sampleLength({ sampleShape: perSample }) !== length) {
    throw new SwarmError(
      'DATA_INVALID',
      `the model's ${name} takes [${perSample}] a sample, the data has [${field.sampleShape}]`,
      { hint: 'Export the model for this shape, or point the job at other data.' },
    )
  }
  const isReal = field.divisor === 255 || field.dtype === 'float32'
  if (isReal !== (wanted.dtype === 'float32')) {
    throw new SwarmError(
      'DATA_INVALID',
      `the model's ${name} takes ${wanted.dtype}, the data has ${isReal ? 'real numbers' : 'ids'}`,
      { hint: 'Images need a float32 input; tokens and classes need an integer one.' },
    )
  }
}
