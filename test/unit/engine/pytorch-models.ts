/**
 * The models that export_models.py and export_layers.py in test/fixtures exported, with what PyTorch computed for them.
 */
import { readFileSync } from 'node:fs'
import type { TrainingProgram } from '../../../engine/program/training-program.ts'
import type { Tensor } from '../../../protocols/core/tensor.ts'

export interface PyTorchModel {
  file: string
  loss_kind: 'softmax_cross_entropy' | 'mse'
  x: { dtype: 'float32' | 'int32'; shape: number[]; data: number[] }
  labels: { shape: number[]; data: number[] }
  /** As it trains. */
  loss: number
  evaluation_loss: number
  correct: number
  parameter_count: number
  /** By parameter name; a tied parameter under each of its names. */
  gradients: Record<string, number[]>
  /** After one batch in training, by name. */
  statistics: Record<string, number[]>
}

export interface OptimizerRun {
  model: string
  rates: number[]
  losses: number[]
  /** Weights and statistics after the last step, by name. */
  parameters: Record<string, number[]>
}

const folder = new URL('../../fixtures/', import.meta.url)

const read = (file: string): unknown => JSON.parse(readFileSync(new URL(file, folder), 'utf8'))

const document = read('models.json') as {
  models: Record<string, PyTorchModel>
  steps: Record<'adamw' | 'adamw_clipped' | 'sgd' | 'sgd_clipped' | 'sgd_batch_norm', OptimizerRun>
}

const layers = read('layers.json') as { models: Record<string, PyTorchModel> }

export const pytorchModels = { ...document.models, ...layers.models }
export const optimizerRuns = document.steps

export function modelBytes(file: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`models/${file}`, folder)))
}

/** The batch of `model` and the parameters `flat`, as feeds of the graphs of `program`. */
export function feedsOf(
  model: PyTorchModel,
  program: TrainingProgram,
  flat: Float32Array = program.initial,
): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {
    [program.inputs[0]!.name]: tensor(model.x.dtype, model.x.shape, model.x.data),
    labels: tensor(program.labels.dtype, model.labels.shape, model.labels.data),
  }
  for (const { name, shape, offset, length } of program.parameters) {
    feeds[name] = { dtype: 'float32', shape, data: flat.slice(offset, offset + length) }
  }
  return feeds
}

function tensor(dtype: 'float32' | 'int32', shape: readonly number[], data: readonly number[]): Tensor {
  return { dtype, shape, data: dtype === 'float32' ? Float32Array.from(data) : Int32Array.from(data) }
}

/**
 * Largest difference between `actual` and `expected`, relative to the largest magnitude in `expected`, or to `least`
 * where that is larger: a gradient that cancels to nothing, as a bias has before a batch norm, is all rounding.
 */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>, least = 1e-6): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY
  let apart = 0
  for (let index = 0; index < expected.length; index++) {
    apart = Math.max(apart, Math.abs(actual[index]! - expected[index]!)) // NaN stays
  }
  return apart / Math.max(least, largest(expected))
}

/** The largest magnitude in `values`. */
export function largest(values: ArrayLike<number>): number {
  let found = 0
  for (let index = 0; index < values.length; index++) found = Math.max(found, Math.abs(values[index]!))
  return found
}
