/**
 * Scores that a mask hides from a softmax, as a sum: `Softmax(Where(mask, scores, hidden))` becomes
 * `Softmax(scores + bias)`, with a bias of 0 where the mask shows a score and of `hidden` where it does not.
 *
 * What is hidden has a share of exactly zero either way, so shares are the same to the bit, and the gradient that they
 * send back is zero there without a mask of its own. A selection is three passes on one thread in onnxruntime (1.30),
 * and its gradient another. Only for masks that are known when the graph is made and show something in every row: where
 * all is hidden, shares go by the sum. Scores are taken to be finite: a hidden +∞ or NaN, which a selection drops, makes
 * its row NaN.
 */
import { type Formulas, positiveAxis } from '../graph/formulas.ts'
import type { TypedNode, Value } from '../graph/graph-builder.ts'
import { intOf } from '../onnx/graph.ts'
import { type Constant, sizeOf } from '../onnx/types.ts'

/**
 * The largest value that hides: so far below zero that no score of a softmax that still tells anything apart makes up
 * for it. Exporters write -∞, the least float32 or -1e9.
 */
const hiddenMax = -1e8

/** The sum that stands for `selection`, a Where that only `reader` reads; null where the selection has to stay. */
export function hiddenBySum(f: Formulas, selection: TypedNode, reader: TypedNode | undefined): Value | null {
  const { shape } = selection.outputs[0]!
  const isLastAxis =
    reader?.opType === 'Softmax' &&
    positiveAxis(intOf(reader.attributes, 'axis', -1), shape.length) === shape.length - 1
  const [condition, yes, no] = selection.inputs as [Value, Value, Value]
  const mask = f.constantOf(condition)
  if (f.builder.target.device !== 'cpu' || !isLastAxis || mask === null) return null
  const [hiddenIfNot, hiddenIfSo] = [hidingValue(f, no), hidingValue(f, yes)]
  if (hiddenIfNot !== null && sizeOf(yes.shape) === sizeOf(shape) && showsSome(mask, 1)) {
    return f.add(f.reshape(yes, shape), f.where(condition, 0, hiddenIfNot))
  }
  if (hiddenIfSo !== null && sizeOf(no.shape) === sizeOf(shape) && showsSome(mask, 0)) {
    return f.add(f.reshape(no, shape), f.where(condition, hiddenIfSo, 0))
  }
  return null
}

/** `value` as a number when it is one that hides a score. */
function hidingValue(f: Formulas, value: Value): number | null {
  const constant = f.constantOf(value)
  if (constant?.dtype !== 'float32' || constant.data.length !== 1) return null
  const number = constant.data[0] as number
  return number <= hiddenMax ? number : null
}

/** Whether every row of `mask`, bool, has an element that is `shown`. */
function showsSome({ data, shape }: Constant, shown: 0 | 1): boolean {
  const flags = data as Uint8Array
  const width = shape.at(-1) ?? 1
  for (let start = 0; start < flags.length; start += width) {
    if (!flags.subarray(start, start + width).includes(shown)) return false
  }
  return true
}
