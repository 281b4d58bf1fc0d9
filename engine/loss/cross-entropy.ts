/**
 * Softmax cross-entropy as a graph: for logits z of C classes and a label y, with smoothing ε
 * (torch.nn.CrossEntropyLoss),
 *   L = ln Σ e^z - (1 - ε)·z_y - ε/C·Σ z          dL/dz = softmax z - (1 - ε)·onehot y - ε/C
 * with z shifted by its maximum, so that nothing overflows. Labels that are ignored count for nothing.
 *
 * Spelled out of operators that every backend has; ONNX's own loss operators run on the CPU only. The element of a
 * row that is its label's is found by comparing all of the row, or, on a CPU and among many classes, read and written
 * by its place: selections are onnxruntime's slowest passes, on one thread.
 */
import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { int } from '../onnx/graph.ts'

/**
 * Classes from which a label's element is found by its place, on a CPU: with ten, six small nodes take as long as what
 * they save; with 256 and 1024 predictions they save 0.3 ms (docs/decisions/0008).
 */
const classesFound = 64

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
  const isFound = f.builder.target.device === 'cpu' && classes >= classesFound
  const one = isFound ? byPlace(f, column, classes) : byComparing(f, isLabel)
  const shifted = f.sub(logits, f.reduceMax(logits, [1], true))
  const powers = f.exp(shifted)
  const total = f.reduceSum(powers, [1], true)
  const counted = ignoreIndex === undefined ? null : countedOf(f, column, ignoreIndex)
  const masked = (x: Value) => (counted === null ? x : f.mul(x, counted))
  const picked = one.of(shifted)
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
      const direct = one.lessened(probabilities, share(1 - labelSmoothing))
      return masked(labelSmoothing === 0 ? direct : f.sub(direct, share(labelSmoothing / classes)))
    },
  }
}

/** The one element of each row of `[count, classes]` f32 that is its label's; none where the label is no class. */
interface LabelElement {
  /** It, `[count, 1]`; 0 where there is none. */
  of(x: Value): Value
  /** `x` with `by`, a number or a scalar, taken off it. */
  lessened(x: Value, by: Value | number): Value
}

/** `isLabel`: `[count, classes]` bool. */
function byComparing(f: Formulas, isLabel: Value): LabelElement {
  return {
    of: (x) => f.reduceSum(f.where(isLabel, x, 0), [1], true),
    lessened: (x, by) => f.sub(x, f.where(isLabel, by, 0)),
  }
}

/** `labels`: `[count, 1]` int32. */
function byPlace(f: Formulas, labels: Value, classes: number): LabelElement {
  const bound = (value: number) =>
    f.builder.constant({ dtype: 'int32', shape: [], data: Int32Array.of(value) })
  const place = f.min(f.max(labels, bound(0)), bound(classes - 1))
  const isClass = f.equal(place, labels)
  const axis = { axis: int(1) }
  const at = (x: Value) =>
    f.builder.emit('GatherElements', [x, place], axis, { dtype: x.dtype, shape: labels.shape })
  return {
    of: (x) => f.where(isClass, at(x), 0),
    lessened: (x, by) =>
      f.builder.emit('ScatterElements', [x, place, f.sub(at(x), f.where(isClass, by, 0))], axis, x),
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
