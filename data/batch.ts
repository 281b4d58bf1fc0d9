/**
 * From samples to the tensors of one step: gather by index, convert to the dtype and the shape that the model wants.
 */

import { assert } from '../protocols/core/assert.ts'
import { SwarmError } from '../protocols/core/errors.ts'
import type { Batch, Tensor } from '../protocols/core/tensor.ts'
import { type Field, type Normal, type Split, sampleLength } from './data-set.ts'

/**
 * What the model takes. The first dimension of each shape is the batch; its size here is ignored, since the indices
 * decide it.
 */
export interface BatchSpec {
  inputs: readonly { name: string; dtype: 'float32' | 'int32'; shape: readonly number[] }[]
  labels: { dtype: 'float32' | 'int32'; shape: readonly number[] }
  /**
   * The data's field for each of the model's inputs; default: the one of its name, or `x` for a model with one input.
   */
  fields?: Readonly<Record<string, string>> | undefined
}

/**
 * The samples `indices` (each 0 … count − 1) of `split`, in that order. The tensors are new and belong to the caller.
 *
 * Pixels become `value / 255` in float32, less their channel's mean and over its deviation where the data says so;
 * tokens and classes become int32, or float32 where the model's labels are numbers. A sample may be reshaped, as from
 * `[28, 28]` to `[1, 28, 28]`, but not resized.
 * @throws {SwarmError} DATA_INVALID when the samples do not fit the model.
 */
export function batch(split: Split, indices: ArrayLike<number>, spec: BatchSpec): Batch {
  const inputs = spec.inputs.map((input) => {
    const field = fieldFor(split, input.name, spec)
    return [input.name, gather(field, split.count, indices, input, `input "${input.name}"`)] as const
  })
  return {
    inputs: Object.fromEntries(inputs),
    labels: gather(split.fields.y, split.count, indices, spec.labels, 'labels'),
  }
}

/** @throws {SwarmError} DATA_INVALID when the data has no such field. */
function fieldFor({ fields }: Split, input: string, spec: BatchSpec): Field {
  const hasOwn = Object.hasOwn(fields, input)
  const name = spec.fields?.[input] ?? (spec.inputs.length === 1 && !hasOwn ? 'x' : input)
  const field = Object.hasOwn(fields, name) ? fields[name] : undefined
  if (field !== undefined) return field
  const known = Object.keys(fields).join(', ')
  throw new SwarmError(
    'DATA_INVALID',
    `the model's input "${input}" takes the data's field "${name}", which there is not`,
    {
      hint: `Say in the job file which field it takes, as model.inputs: { ${input}: x }; the data has ${known}.`,
    },
  )
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
    const target = data.subarray(row * length, (row + 1) * length)
    if (field.divisor === 255) for (let k = 0; k < length; k++) target[k] = sample[k]! / 255
    else target.set(sample)
    if (field.normal !== undefined) normalise(target, field.normal)
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
  // a class can stand for a number, as 0 and 1 do for the target of a binary loss; a token cannot be a pixel
  if (!isReal && wanted.dtype === 'float32' && name === 'labels') return
  if (isReal !== (wanted.dtype === 'float32')) {
    throw new SwarmError(
      'DATA_INVALID',
      `the model's ${name} takes ${wanted.dtype}, the data has ${isReal ? 'real numbers' : 'ids'}`,
      {
        hint: 'Images need a float32 input; tokens and classes need an integer one. Of .npy files, save the array as the type that the model takes, or name bytes that are pixels as data.pixels.',
      },
    )
  }
}

/** Each channel, the first dimension of a sample, less its mean and over its deviation. */
function normalise(sample: Float32Array | Int32Array, { mean, deviation }: Normal): void {
  const size = sample.length / mean.length
  for (let k = 0; k < sample.length; k++) {
    const channel = Math.floor(k / size)
    sample[k] = (sample[k]! - mean[channel]!) / deviation[channel]!
  }
}
