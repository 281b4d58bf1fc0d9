/**
 * Softmax cross-entropy as a graph: for logits z of C classes and a label y, with smoothing ε
 * (torch.nn.CrossEntropyLoss),
 *   L = ln Σ e^z - (1 - ε)·z_y - ε/C·Σ z          dL/dz = softmax z - (1 - ε)·onehot y - ε/C
 * with z shifted by its maximum, so that nothing overflows. Labels that are ignored count for nothing.
 *
 * Spelled out of operators that every backend has; ONNX's own loss operators run on the CPU only.
 */
import type { Formulas } from '../onnx/formulas.ts'
import type { Value } from '../onnx/graph-builder.ts'

export interface CrossEntropyOptions {
  /** Label of predictions that do not count; none by default. */
  ignoreIndex?: number | undefined
  /** ε, in [0, 1): the share of a label that is spread over all classes. Default 0. */
  labelSmoothing?: number | undefined
}

/** Terms of the loss of `count` predictions over `classes`. */
export interface CrossEntropy {
  /** `[count, 1]` f32: the loss of each prediction, zero where its label is ignored. */
  readonly losses: Value
  /** `[count, 1]` f32, 1 where a prediction counts; null when all do. */
  readonly counted: Value | null
  /** `[count, classes]` f32: the gradient by the logits of the sum of `losses` over `divisor`, a number or a scalar. */
  gradient(divisor: Value | number): Value
  /** `[count, classes]` f32: logits minus their maximum. */
  readonly shifted: Value
  /** `[count, classes]` bool */
  readonly isLabel: Value
}

/** `logits`: `[count, classes]` f32; `labels`: `[count]` int32, classes or `ignoreIndex`. */
export function crossEntropy(
  f: Formulas,
  logits: Value,
  labels: Value,
  { ignoreIndex, labelSmoothing = 0 }: CrossEntropyOptions = {},
): CrossEntropy {
  const [count, classes] = logits.shape as [number, number]
  const column = f.reshape(labels, [count, 1])
  const isLabel = f.equal(column, classIndices(f, classes))
  const shifted = f.sub(logits, f.reduceMax(logits, [1], true))
  const powers = f.exp(shifted)
  const total = f.reduceSum(powers, [1], true)
  const counted = ignoreIndex === undefined ? null : countedOf(f, column, ignoreIndex)
  const masked = (x: Value) => (counted === null ? x : f.mul(x, counted))
  const picked = f.reduceSum(f.where(isLabel, shifted, 0), [1], true)
  const spread = f.mul(f.reduceSum(shifted, [1], true), labelSmoothing / classes)
  const target = labelSmoothing === 0 ? picked : f.add(f.mul(picked, 1 - labelSmoothing), spread)
  return {
    losses: masked(f.sub(f.log(total), target)),
    counted,
    shifted,
    isLabel,
    gradient: (divisor) => {
      const share = (of: number) => (typeof divisor === 'number' ? of / divisor : f.div(of, divisor))
      // one rounding for each probability: an optimizer that divides by a gradient's size turns rounding into steps
      const probabilities = f.div(powers, f.mul(total, divisor))
      const direct = f.sub(probabilities, f.where(isLabel, share(1 - labelSmoothing), 0))
      return masked(labelSmoothing === 0 ? direct : f.sub(direct, share(labelSmoothing / classes)))
    },
  }
}

/** int32 `[classes]`: 0, 1, ... */
export function classIndices(f: Formulas, classes: number): Value {
  const data = Int32Array.from({ length: classes }, (_, index) => index)
  return f.builder.constant({ dtype: 'int32', shape: [classes], data })
}

function countedOf(f: Formulas, labels: Value, ignoreIndex: number): Value {
  const ignored = f.builder.constant({ dtype: 'int32', shape: [], data: Int32Array.of(ignoreIndex) })
  return f.where(f.equal(labels, ignored), 0, 1)
}
