/**
 * The inputs of a model as a training graph takes them: every dimension fixed, float32 or int32.
 *
 * An open dimension that the job gives a size has that size. Of the others, the first dimension of an input is the
 * batch, and so is any dimension of that name; one that is left open is refused, and so is a batch of the file's own
 * that is not the job's. Inputs whose first dimensions are all fixed and differ, as a graph's nodes and edges do, have no
 * batch: together they are one sample, and the graphs take them with a first dimension of 1.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import { valueElementsMax } from '../../protocols/core/limits.ts'
import type { Value } from '../graph/graph-builder.ts'
import type { GraphInput } from '../onnx/graph.ts'
import { sizeOf, type TensorType } from '../onnx/types.ts'

/** Sizes that a job fixes. */
export interface InputSizes {
  /** Samples of one step. */
  batch: number
  /** Of open dimensions, by the names that the file gives them. */
  dimensions?: Readonly<Record<string, number>>
}

/** An input as the file declares it and as the graphs take it. */
export interface ModelInput {
  /** With every dimension known, of the file's own element type. */
  readonly declared: TensorType
  /** int32 for int64 and truth values; of a whole sample, with a batch of 1 in front. */
  readonly value: Value
}

/**
 * Fixes all `inputs`.
 * @throws {SwarmError} MODEL_UNSUPPORTED naming the input and the dimension, or the element type;
 *   LIMIT_EXCEEDED for an input of too many elements.
 */
export function fixInputs(inputs: readonly GraphInput[], sizes: InputSizes): ModelInput[] {
  if (inputs.length === 0) {
    throw new SwarmError('MODEL_UNSUPPORTED', 'the model has no input', {
      hint: 'Export a forward function that takes the samples as tensors.',
    })
  }
  if (areOneSample(inputs) && sizes.batch === 1) return inputs.map((input) => wholeInput(input, sizes))
  const batchNames = new Set(inputs.map(({ shape }) => shape[0]).filter((size) => typeof size === 'string'))
  return inputs.map((input) => fixInput(input, batchNames, sizes))
}

/** The batch that the file itself fixes for `inputs`, 1 where they are one sample; null where it is open. */
export function fixedBatchOf(inputs: readonly Pick<GraphInput, 'shape'>[]): number | null {
  const [first] = inputs.map(({ shape }) => shape[0])
  const isOpen = inputs.some(({ shape }) => typeof shape[0] !== 'number' || shape[0] < 1)
  if (isOpen || typeof first !== 'number') return null
  return areOneSample(inputs) ? 1 : first
}

/** Whether `inputs` have no batch: each has a first dimension of its own. */
function areOneSample(inputs: readonly Pick<GraphInput, 'shape'>[]): boolean {
  const firsts = inputs.map(({ shape }) => shape[0])
  return firsts.every((size) => typeof size === 'number' && size > 0) && new Set(firsts).size > 1
}

function wholeInput(input: GraphInput, { dimensions = {} }: InputSizes): ModelInput {
  const shape = input.shape.map((size, axis) => {
    if (typeof size === 'number' && size > 0) return size
    const given = Object.hasOwn(dimensions, size) ? dimensions[size] : undefined
    if (given === undefined) throw openDimension(input, axis)
    return given
  })
  const { name, dtype } = input
  checkSize(name, shape)
  return { declared: { dtype, shape }, value: { name, dtype: sampleType(input), shape: [1, ...shape] } }
}

function fixInput(input: GraphInput, batchNames: ReadonlySet<unknown>, sizes: InputSizes): ModelInput {
  const { name, dtype } = input
  const { batch, dimensions = {} } = sizes
  if (input.shape.length === 0) throw new SwarmError('MODEL_UNSUPPORTED', `input '${name}' is a scalar`)
  const shape = input.shape.map((size, axis) => {
    if (typeof size === 'number' && size > 0) return size
    const given = Object.hasOwn(dimensions, size) ? dimensions[size] : undefined
    if (given !== undefined) return given
    if (batchNames.has(size)) return batch
    throw openDimension(input, axis)
  })
  checkSize(name, shape)
  if (!input.shape.some((size) => batchNames.has(size)) && shape[0] !== batch) {
    throw new SwarmError(
      'MODEL_UNSUPPORTED',
      `input '${name}' has a fixed batch of ${shape[0]}, not ${batch}`,
      {
        hint:
          `Export with an open first dimension: dynamic_shapes=({0: torch.export.Dim('batch')},), or train with batch ${shape[0]}. ` +
          'What all samples share is no input: make it a tensor of the model (register_buffer).',
      },
    )
  }
  return { declared: { dtype, shape }, value: { name, dtype: sampleType(input), shape } }
}

function openDimension({ name, shape }: GraphInput, axis: number): SwarmError {
  const size = shape[axis]!
  return new SwarmError('MODEL_UNSUPPORTED', `dimension ${axis} ('${size}') of input '${name}' is open`, {
    hint: `Give its size as model.dimensions in the job file, { ${size}: 128 }, or export with every dimension fixed except the batch.`,
  })
}

/**
 * @throws {SwarmError} LIMIT_EXCEEDED when the value `name` has more elements than any runtime can hold.
 */
export function checkSize(name: string, shape: readonly number[]): void {
  const elements = sizeOf(shape)
  if (elements <= valueElementsMax) return
  throw new SwarmError(
    'LIMIT_EXCEEDED',
    `'${name}' has the shape [${shape}], ${elements} elements; at most ${valueElementsMax} are computed with`,
    { hint: 'Train with a smaller batch, or smaller dimensions.' },
  )
}

function sampleType({ name, dtype }: GraphInput): 'float32' | 'int32' {
  if (dtype === 'float32' || dtype === 'int32') return dtype
  if (dtype === 'int64' || dtype === 'bool') return 'int32'
  throw new SwarmError('MODEL_UNSUPPORTED', `input '${name}' is ${dtype}`, {
    hint: 'Export with float32 samples, integer ids or a mask of truth values.',
  })
}
