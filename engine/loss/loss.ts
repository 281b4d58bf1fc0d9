/**
 * The losses that a training graph can end in: value, gradient of the model's output, and what an evaluation counts.
 *
 * All are means over the predictions that count. The gradient of the output is written by hand: it is shorter than
 * differentiating the loss, and its softmax cannot overflow.
 *   softmax_cross_entropy   cross-entropy.ts
 *   binary_cross_entropy    L = mean (max(z, 0) - z·t + ln(1 + e^-|z|)) ; dz = (σ(z) - t)/n      targets t from 0 to 1
 *   mse                     L = mean (y - t)² ; dy = 2(y - t)/n
 *   l1                      L = mean |y - t| ; dy = sign(y - t)/n
 *   in_model                the output is the loss, and the labels are one of the model's inputs
 */
import { unreachable } from '../../protocols/core/assert.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import { type Formulas, positiveAxis } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { sizeOf, type TensorType } from '../onnx/types.ts'
import { type CrossEntropyOptions, crossEntropy } from './cross-entropy.ts'
import type { LabelWeights } from './label-weights.ts'

export type LossKind = 'softmax_cross_entropy' | 'binary_cross_entropy' | 'mse' | 'l1' | 'in_model'

/** Of `softmax_cross_entropy`; the others have none. */
export interface LossOptions extends CrossEntropyOptions {
  /** The output's axis of classes; from the end when negative. Default -1; PyTorch's images of classes have 1. */
  classAxis?: number | undefined
}

export interface Loss {
  /** Mean over the predictions that count, shape []; 0 when none does. */
  readonly mean: Value
  /** Sum over them, shape []. */
  readonly sum: Value
  /** How many count, float32 []. */
  readonly count: Value
  /** Gradient of `mean` by the model's output, of its shape. */
  readonly gradient: Value
  /**
   * float32 [], the number of right predictions: the largest logit (the first, among equals) is the label's; in
   * `binary_cross_entropy` logit and target are on the same side of 0 and of a half. 0 for the others.
   */
  readonly correct: Value
}

/**
 * The labels that `kind` compares an output of `shape` with: classes of one axis, or values of the same shape. null for
 * `in_model`, whose labels are an input.
 * @throws {SwarmError} MODEL_UNSUPPORTED when the output has no such form.
 */
export function labelType(
  kind: LossKind,
  shape: readonly number[],
  { classAxis = -1 }: LossOptions = {},
): TensorType | null {
  switch (kind) {
    case 'softmax_cross_entropy': {
      const axis = positiveAxis(classAxis, shape.length)
      if (shape.length < 2 || (shape[axis] ?? 0) < 2) throw noClasses(shape)
      return { dtype: 'int32', shape: shape.toSpliced(axis, 1) }
    }
    case 'in_model':
      if (sizeOf(shape) !== 1) {
        throw new SwarmError(
          'MODEL_UNSUPPORTED',
          `the output [${shape}] is no loss: it has more than one element`,
          {
            hint: 'Choose the output that is the loss, or name a loss in the job.',
          },
        )
      }
      return null
    default:
      return { dtype: 'float32', shape }
  }
}

/**
 * Adds the loss of `output` against `labels` (of `labelType`) to the graph. `labelWeights`: of a loss inside the model.
 */
export function addLoss(
  f: Formulas,
  kind: LossKind,
  output: Value,
  labels: Value,
  options: LossOptions & { labelWeights?: LabelWeights } = {},
): Loss {
  switch (kind) {
    case 'softmax_cross_entropy':
      return softmaxCrossEntropy(f, output, labels, options)
    case 'binary_cross_entropy':
      return binaryCrossEntropy(f, output, labels)
    case 'mse':
      return meanSquaredError(f, output, labels)
    case 'l1':
      return meanAbsoluteError(f, output, labels)
    case 'in_model':
      return inModel(f, output, labels, options.labelWeights ?? new Map())
    default:
      return unreachable(kind)
  }
}

function meanSquaredError(f: Formulas, output: Value, labels: Value): Loss {
  const count = sizeOf(output.shape)
  const error = f.sub(output, labels)
  const correct = f.builder.scalar(0)
  return { ...meanOf(f, f.mul(error, error), count), gradient: f.mul(error, 2 / count), correct }
}

function meanAbsoluteError(f: Formulas, output: Value, labels: Value): Loss {
  const count = sizeOf(output.shape)
  const error = f.sub(output, labels)
  const gradient = f.where(f.greater(error, 0), 1 / count, f.where(f.greater(0, error), -1 / count, 0))
  return { ...meanOf(f, f.unary('Abs', error), count), gradient, correct: f.builder.scalar(0) }
}

function binaryCrossEntropy(f: Formulas, output: Value, labels: Value): Loss {
  const count = sizeOf(output.shape)
  const tail = f.log(f.add(f.exp(f.neg(f.unary('Abs', output))), 1))
  const losses = f.add(f.sub(f.max(output, 0), f.mul(output, labels)), tail)
  const gradient = f.mul(f.sub(f.sigmoid(output), labels), 1 / count)
  const [said, meant] = [f.where(f.greater(output, 0), 1, 0), f.where(f.greater(labels, 0.5), 1, 0)]
  const correct = f.sumAll(f.cast(f.equal(said, meant), 'float32'))
  return { ...meanOf(f, losses, count), gradient, correct }
}

/**
 * Samples count, or what the model's loss counts of labels; where that is nothing, its mean is no number, and its
 * sum 0.
 */
function inModel(f: Formulas, output: Value, labels: Value, labelWeights: LabelWeights): Loss {
  const mean = f.reshape(output, [])
  const samples = labels.shape[0]!
  const common = { mean, gradient: f.full(output.shape, 1), correct: f.builder.scalar(0) }
  if (labelWeights.size === 0) {
    return { ...common, sum: f.mul(mean, samples), count: f.builder.scalar(samples) }
  }
  const count = weighedCount(f, labels, labelWeights)
  return { ...common, sum: f.where(f.greater(count, 0), f.mul(mean, count), 0), count }
}

/** Σ of the labels' weights: their number, and for each label that weighs w how often it occurs, times w - 1. */
function weighedCount(f: Formulas, labels: Value, labelWeights: LabelWeights): Value {
  const size = labelWeights.size
  const data = Int32Array.from(labelWeights.keys())
  const known = f.builder.constant({ dtype: 'int32', shape: [size], data })
  const excess = f.tensor(
    Float32Array.from(labelWeights.values(), (weight) => weight - 1),
    [size],
  )
  const count = sizeOf(labels.shape)
  const isKnown = f.cast(f.equal(f.reshape(labels, [count, 1]), known), 'float32')
  return f.add(f.sumAll(f.mul(isKnown, excess)), count)
}

function softmaxCrossEntropy(f: Formulas, output: Value, labels: Value, options: LossOptions): Loss {
  const rank = output.shape.length
  const axis = positiveAxis(options.classAxis ?? -1, rank)
  const classesLast = [...output.shape.keys()].toSpliced(axis, 1).concat(axis)
  const turned = f.transpose(output, classesLast)
  const classes = turned.shape.at(-1)!
  const predictions = sizeOf(output.shape) / classes
  const terms = crossEntropy(
    f,
    f.reshape(turned, [predictions, classes]),
    f.reshape(labels, [predictions]),
    options,
  )
  const { counted, losses } = terms
  const sum = f.sumAll(losses)
  const count = counted === null ? f.builder.scalar(predictions) : f.sumAll(counted)
  const divisor = counted === null ? predictions : f.max(count, 1)
  const gradient = f.reshape(terms.gradient(divisor), turned.shape)
  return {
    mean: f.div(sum, divisor),
    sum,
    count,
    gradient: f.transpose(
      gradient,
      classesLast.map((_, place) => classesLast.indexOf(place)),
    ),
    correct: hits(f, terms.shifted, terms.isLabel, counted),
  }
}

function meanOf(f: Formulas, losses: Value, count: number): Pick<Loss, 'mean' | 'sum' | 'count'> {
  const sum = f.sumAll(losses)
  return { mean: f.div(sum, count), sum, count: f.builder.scalar(count) }
}

/**
 * Each class that reaches the maximum scores by how early it comes; a hit is a label with the best score. ArgMax would
 * need int64 comparisons, which WebGPU leaves to the CPU. Logits that are not numbers reach nothing and hit nothing.
 */
function hits(f: Formulas, shifted: Value, isLabel: Value, counted: Value | null): Value {
  const classes = shifted.shape.at(-1)!
  const ranks = f.tensor(
    Float32Array.from({ length: classes }, (_, index) => classes - index),
    [classes],
  )
  const scores = f.where(f.greaterOrEqual(shifted, 0), ranks, 0)
  const best = f.max(f.reduceMax(scores, [1], true), 1)
  const label = f.reduceSum(f.where(isLabel, scores, 0), [1], true)
  const right = f.cast(f.equal(label, best), 'float32')
  return f.sumAll(counted === null ? right : f.mul(right, counted))
}

function noClasses(shape: readonly number[]): SwarmError {
  return new SwarmError(
    'MODEL_UNSUPPORTED',
    `softmax_cross_entropy needs logits [batch, ..., classes], not [${shape}]`,
    {
      hint: 'Use another loss, name the axis of classes (model.class_axis), or export a model whose output has one.',
    },
  )
}
