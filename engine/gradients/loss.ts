/**
 * Losses that stand in the model, as operators that every backend has. For logarithms of probabilities l of C classes,
 * labels y and weights w of the classes (ONNX, NegativeLogLikelihoodLoss; the softmax form takes logits):
 *   L = -Σ w_y·l_y / Σ w_y     (`mean`; `sum` leaves the division out, `none` the sum)
 * over the labels that are not `ignore_index`. Differentiated part by part.
 */

import type { Value } from '../graph/graph-builder.ts'
import { classIndices } from '../loss/cross-entropy.ts'
import { intOf, textOf } from '../onnx/graph.ts'
import { sizeOf } from '../onnx/types.ts'
import { type Rule, spelled, type Use } from './rule.ts'

/** Labels and weights of classes do not move. */
const still = [1, 2]

const softmaxCrossEntropyLoss: Rule = {
  kind: 'spelled',
  still,
  spelling: (use, types) => {
    const { f, x } = use
    const shifted = f.sub(x[0]!, f.reduceMax(x[0]!, [1], true))
    const logarithms = f.sub(shifted, f.log(f.reduceSum(f.exp(shifted), [1], true)))
    return [likelihoodLoss(use, logarithms), types[1] ? logarithms : null].slice(0, types.length)
  },
}

export const loss = {
  SoftmaxCrossEntropyLoss: softmaxCrossEntropyLoss,
  NegativeLogLikelihoodLoss: spelled((use) => likelihoodLoss(use, use.x[0]!), still),
} as const

/** `logarithms`: `[batch, classes, ...]` f32. */
function likelihoodLoss(use: Use, logarithms: Value): Value {
  const { f, attributes, x } = use
  const labels = f.cast(x[1]!, 'int32')
  const classesLast = [0, ...[...logarithms.shape.keys()].slice(2), 1]
  const classes = logarithms.shape[1]!
  const count = sizeOf(labels.shape)
  const rows = f.reshape(f.transpose(logarithms, classesLast), [count, classes])
  const column = f.reshape(labels, [count, 1])
  const isLabel = f.equal(column, classIndices(f, classes))
  const weights = weightsOf(use, column, isLabel)
  const picked = f.neg(f.reduceSum(f.where(isLabel, rows, 0), [1], true))
  const losses = weights === null ? picked : f.mul(picked, weights)
  const reduction = textOf(attributes, 'reduction', 'mean')
  if (reduction === 'none') return f.reshape(losses, labels.shape)
  const sum = f.sumAll(losses)
  if (reduction === 'sum') return sum
  return f.div(sum, weights === null ? count : f.sumAll(weights))
}

/** What each label counts, `[count, 1]` f32; null when all count alike. */
function weightsOf({ f, attributes, x, has }: Use, column: Value, isLabel: Value): Value | null {
  const own = has(2) ? f.reduceSum(f.where(isLabel, x[2]!, 0), [1], true) : null
  if (attributes.ignore_index === undefined) return own
  const data = Int32Array.of(intOf(attributes, 'ignore_index', 0))
  const ignored = f.equal(column, f.builder.constant({ dtype: 'int32', shape: [], data }))
  return f.where(ignored, 0, own ?? 1)
}
