/**
 * The losses that a training graph can end in: value, gradient of the model's output, and what an evaluation counts.
 *
 * Both are means over predictions. The gradient of the output is written by hand: it is shorter than differentiating the
 * loss, and its softmax cannot overflow.
 */
import { SwarmError } from '../protocols/core/errors.ts'
import type { Formulas } from './onnx/formulas.ts'
import type { Value } from './onnx/graph-builder.ts'
import { sizeOf, type TensorType } from './onnx/types.ts'

export type LossKind = 'softmax_cross_entropy' | 'mse'

export interface Loss {
  /** Mean over predictions, shape []. */
  readonly mean: Value
  /** Sum over predictions, shape []. */
  readonly sum: Value
  /** Gradient of `mean` by the model's output, of its shape. */
  readonly gradient: Value
  /** float32 [], the number of predictions whose largest logit (the first, among equals) is the label's; 0 for `mse`. */
  readonly correct: Value
}

/** The labels that `kind` compares an output of `shape` with: classes of the last axis, or values of the same shape. */
export function labelType(kind: LossKind, shape: readonly number[]): TensorType {
  if (kind === 'mse') return { dtype: 'float32', shape }
  if (shape.length < 2 || shape.at(-1)! < 2) {
    throw new SwarmError(
      'MODEL_UNSUPPORTED',
      `softmax_cross_entropy needs logits [batch, ..., classes], not [${shape}]`,
      {
        hint: 'Use the loss mse, or export a model whose output has a class axis.',
      },
    )
  }
  return { dtype: 'int32', shape: shape.slice(0, -1) }
}

/** Adds the loss of `output` against `labels` (of `labelType`) to the graph. */
export function addLoss(f: Formulas, kind: LossKind, output: Value, labels: Value): Loss {
  return kind === 'mse' ? meanSquaredError(f, output, labels) : softmaxCrossEntropy(f, output, labels)
}

/** L = mean (y - t)² ; dy = 2(y - t)/n */
function meanSquaredError(f: Formulas, output: Value, labels: Value): Loss {
  const count = sizeOf(output.shape)
  const error = f.sub(output, labels)
  const sum = f.sumAll(f.mul(error, error))
  return { mean: f.div(sum, count), sum, gradient: f.mul(error, 2 / count), correct: f.builder.scalar(0) }
}

/** L = mean (ln Σ e^z - z_label), with z shifted by its maximum ; dz = (softmax z - onehot)/n */
function softmaxCrossEntropy(f: Formulas, output: Value, labels: Value): Loss {
  const classes = output.shape.at(-1)!
  const count = sizeOf(output.shape) / classes
  const logits = f.reshape(output, [count, classes])
  const columns = f.builder.constant({
    dtype: 'int32',
    shape: [classes],
    data: Int32Array.from({ length: classes }, (_, index) => index),
  })
  const isLabel = f.equal(f.reshape(labels, [count, 1]), columns)
  const shifted = f.sub(logits, f.reduceMax(logits, [1], true))
  const powers = f.exp(shifted)
  const total = f.reduceSum(powers, [1], true)
  const picked = f.reduceSum(f.where(isLabel, shifted, 0), [1], true)
  const sum = f.sumAll(f.sub(f.log(total), picked))
  const probabilities = f.div(powers, f.mul(total, count))
  const gradient = f.reshape(f.sub(probabilities, f.where(isLabel, 1 / count, 0)), output.shape)
  return { mean: f.div(sum, count), sum, gradient, correct: hits(f, shifted, isLabel) }
}

/**
 * Each class that reaches the maximum scores by how early it comes; a hit is a label with the best score. ArgMax would need
 * int64 comparisons, which WebGPU leaves to the CPU. Logits that are not numbers reach nothing and hit nothing.
 */
function hits(f: Formulas, shifted: Value, isLabel: Value): Value {
  const classes = shifted.shape.at(-1)!
  const ranks = f.tensor(
    Float32Array.from({ length: classes }, (_, index) => classes - index),
    [classes],
  )
  const scores = f.where(f.greaterOrEqual(shifted, 0), ranks, 0)
  const best = f.max(f.reduceMax(scores, [1]), 1)
  const label = f.reduceSum(f.where(isLabel, scores, 0), [1])
  return f.sumAll(f.cast(f.equal(label, best), 'float32'))
}
