/**
 * ONNX operators as functions with known result types, so that a gradient rule reads like its formula.
 *
 * Only operators and forms that ran with equal values on onnxruntime's wasm, native and WebGPU builds stand here: no
 * int64 arithmetic, no LogSoftmax, no variadic Sum, reductions with their axes as an input (operator set 18). Binary
 * operators broadcast as numpy does. Axes count from the front and are never negative.
 */
import { assert } from '../../protocols/core/assert.ts'
import { type Attributes, float, int, ints } from '../onnx/graph.ts'
import { type Constant, type ElementType, elementTypes, float32Constant, sizeOf } from '../onnx/types.ts'
import type { GraphBuilder, Value } from './graph-builder.ts'

/** A value, or a number that stands for a float32 scalar. */
export type Operand = Value | number

export class Formulas {
  readonly builder: GraphBuilder

  constructor(builder: GraphBuilder) {
    this.builder = builder
  }

  add = (a: Operand, b: Operand) => this.binary('Add', a, b)
  sub = (a: Operand, b: Operand) => this.binary('Sub', a, b)
  mul = (a: Operand, b: Operand) => this.binary('Mul', a, b)
  div = (a: Operand, b: Operand) => this.binary('Div', a, b)
  pow = (a: Operand, b: Operand) => this.binary('Pow', a, b)
  max = (a: Operand, b: Operand) => this.binary('Max', a, b)
  min = (a: Operand, b: Operand) => this.binary('Min', a, b)
  equal = (a: Operand, b: Operand) => this.binary('Equal', a, b, 'bool')
  greater = (a: Operand, b: Operand) => this.binary('Greater', a, b, 'bool')
  greaterOrEqual = (a: Operand, b: Operand) => this.binary('GreaterOrEqual', a, b, 'bool')

  neg = (x: Value) => this.unary('Neg', x)
  exp = (x: Value) => this.unary('Exp', x)
  log = (x: Value) => this.unary('Log', x)
  sqrt = (x: Value) => this.unary('Sqrt', x)
  reciprocal = (x: Value) => this.unary('Reciprocal', x)
  tanh = (x: Value) => this.unary('Tanh', x)
  sigmoid = (x: Value) => this.unary('Sigmoid', x)
  erf = (x: Value) => this.unary('Erf', x)
  sin = (x: Value) => this.unary('Sin', x)
  cos = (x: Value) => this.unary('Cos', x)

  /** An element-wise operator of one input that keeps the type. */
  unary(opType: string, x: Value, attributes: Attributes = {}): Value {
    return this.builder.emit(opType, [x], attributes, x)
  }

  /**
   * 0 where `x` is below zero, 1 where it is above, `atZero` where it is neither: clip(c·x + atZero, 0, 1) with a c that
   * brings every normal float32 to 1, in one pass where a comparison's result has to be cast. Not in float16, which has
   * no such c.
   */
  steep(x: Value, atZero: 0 | 1): Value {
    return this.unary('HardSigmoid', x, { alpha: float(3.4e38), beta: float(atZero) })
  }

  /** `x` as `dtype`; `x` itself when it already is. */
  cast(x: Value, dtype: ElementType): Value {
    if (x.dtype === dtype) return x
    return this.builder.emit('Cast', [x], { to: int(elementTypes[dtype].code) }, { dtype, shape: x.shape })
  }

  /** `yes` where `condition` holds, else `no`. */
  where(condition: Value, yes: Operand, no: Operand): Value {
    const [a, b] = [this.operand(yes), this.operand(no)]
    const shape = broadcastShape(condition.shape, broadcastShape(a.shape, b.shape))
    return this.builder.emit('Where', [condition, a, b], {}, { dtype: a.dtype, shape })
  }

  /**
   * The matrix product over the last two dimensions; leading ones broadcast. Both operands have two or more. With
   * nothing to add up it is zeros without a kernel: WebGPU's ends the process.
   */
  matmul(a: Value, b: Value): Value {
    const leading = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2))
    assert(a.shape.at(-1) === b.shape.at(-2), `matmul of [${a.shape}] and [${b.shape}]`)
    const shape = [...leading, a.shape.at(-2)!, b.shape.at(-1)!]
    if (a.shape.at(-1) === 0) return this.full(shape)
    return this.builder.emit('MatMul', [a, b], {}, { dtype: a.dtype, shape })
  }

  /** `alpha` · A' · B' of matrices, where a prime transposes when asked to. */
  gemm(a: Value, b: Value, { transA = false, transB = false, alpha = 1 } = {}): Value {
    const rows = a.shape[transA ? 1 : 0]!
    const columns = b.shape[transB ? 0 : 1]!
    assert(a.shape[transA ? 0 : 1] === b.shape[transB ? 1 : 0], `gemm of [${a.shape}] and [${b.shape}]`)
    const { device, isSameByThreads } = this.builder.target
    if (isSameByThreads && isCutByColumns(rows, columns)) {
      return this.turned(this.gemm(b, a, { transA: !transB, transB: !transA, alpha }))
    }
    // not on WebAssembly, the one whose sums shall be the same by threads: nothing is gained there
    if (transA && device === 'cpu' && !isSameByThreads && columns >= columnsTurned) {
      return this.gemm(this.turned(a), b, { transB, alpha })
    }
    const attributes = { transA: int(Number(transA)), transB: int(Number(transB)), alpha: float(alpha) }
    return this.builder.emit('Gemm', [a, b], attributes, { dtype: a.dtype, shape: [rows, columns] })
  }

  /**
   * The transpose of a matrix as a copy: onnxruntime puts a plain transposition of two axes back into the product
   * beside it.
   */
  private turned(matrix: Value): Value {
    const [rows, columns] = matrix.shape as [number, number]
    return this.reshape(this.transpose(this.reshape(matrix, [rows, columns, 1]), [1, 0, 2]), [columns, rows])
  }

  /** `x` with dimension i of the result being dimension `permutation[i]` of `x`. */
  transpose(x: Value, permutation: readonly number[]): Value {
    if (permutation.every((axis, index) => axis === index)) return x
    const shape = permutation.map((axis) => x.shape[axis]!)
    return this.builder.emit('Transpose', [x], { perm: ints(permutation) }, { dtype: x.dtype, shape })
  }

  /** `x` with its last two dimensions exchanged. */
  transposeMatrix(x: Value): Value {
    const axes = x.shape.map((_, axis) => axis)
    return this.transpose(x, [...axes.slice(0, -2), axes.at(-1)!, axes.at(-2)!])
  }

  reshape(x: Value, shape: readonly number[]): Value {
    if (sameShape(x.shape, shape)) return x
    assert(sizeOf(x.shape) === sizeOf(shape), `reshape of [${x.shape}] to [${shape}]`)
    const attributes: Attributes = shape.includes(0) ? { allowzero: int(1) } : {} // else 0 means "as before"
    return this.builder.emit('Reshape', [x, this.builder.integers(shape)], attributes, {
      dtype: x.dtype,
      shape,
    })
  }

  expand(x: Value, shape: readonly number[]): Value {
    if (sameShape(x.shape, shape)) return x
    return this.builder.emit('Expand', [x, this.builder.integers(shape)], {}, { dtype: x.dtype, shape })
  }

  concat(values: readonly Value[], axis: number): Value {
    const [first] = values
    assert(first !== undefined, 'concat of nothing')
    if (values.length === 1) return first
    const total = values.reduce((sum, { shape }) => sum + shape[axis]!, 0)
    return this.builder.emit(
      'Concat',
      values,
      { axis: int(axis) },
      { dtype: first.dtype, shape: first.shape.with(axis, total) },
    )
  }

  /** Elements `start`, `start + step`, ... (`count` of them) of each listed axis. Steps are positive. */
  slice(x: Value, cuts: readonly { axis: number; start: number; count: number; step?: number }[]): Value {
    const real = cuts.filter(
      ({ axis, start, count, step = 1 }) => start !== 0 || step !== 1 || count !== x.shape[axis],
    )
    if (real.length === 0) return x
    const { builder } = this
    const inputs = [
      x,
      builder.integers(real.map(({ start }) => start)),
      builder.integers(real.map(({ start, count, step = 1 }) => start + (count - 1) * step + 1)),
      builder.integers(real.map(({ axis }) => axis)),
      builder.integers(real.map(({ step = 1 }) => step)),
    ]
    const shape = [...x.shape]
    for (const { axis, count } of real) shape[axis] = count
    return builder.emit('Slice', inputs, {}, { dtype: x.dtype, shape })
  }

  /** `x` with `before[axis]` and `after[axis]` elements of `filling` around it. */
  pad(x: Value, before: readonly number[], after: readonly number[], filling = 0): Value {
    if ([...before, ...after].every((count) => count === 0)) return x
    const shape = x.shape.map((size, axis) => before[axis]! + size + after[axis]!)
    const inputs = [x, this.builder.integers([...before, ...after]), this.builder.scalar(filling)]
    return this.builder.emit('Pad', inputs, {}, { dtype: x.dtype, shape })
  }

  reduceSum = (x: Value, axes: readonly number[], keep = false) => this.reduce('ReduceSum', x, axes, keep)
  reduceMean = (x: Value, axes: readonly number[], keep = false) => this.reduce('ReduceMean', x, axes, keep)
  reduceMax = (x: Value, axes: readonly number[], keep = false) => this.reduce('ReduceMax', x, axes, keep)
  reduceSumSquare = (x: Value, axes: readonly number[], keep = false) =>
    this.reduce('ReduceSumSquare', x, axes, keep)

  /** e^x/Σe^x along `axis`. */
  softmax = (x: Value, axis: number) => this.unary('Softmax', x, { axis: int(axis) })

  /** Sum of all elements, shape []. */
  sumAll(x: Value): Value {
    return this.reduceSum(x, allAxes(x))
  }

  /** Undoes broadcasting: sums `x` over the axes along which `shape` was repeated to become `x.shape`. */
  sumTo(x: Value, shape: readonly number[]): Value {
    if (sameShape(x.shape, shape)) return x
    const added = x.shape.length - shape.length
    const axes = allAxes(x).filter(
      (axis) => axis < added || (shape[axis - added] === 1 && x.shape[axis] !== 1),
    )
    if (axes.length === 0) return this.reshape(x, shape)
    const isOverRows = axes.every((axis, index) => axis === index)
    return this.reshape(
      (isOverRows ? this.sumOfRows(x, axes.length) : null) ?? this.reduceSum(x, axes),
      shape,
    )
  }

  /**
   * Sum of `x` over its first `count` axes as a product with ones; null where that is not faster. A reduction waits for
   * threads longer than they save: with two of them the product takes 0.2 to 0.5 of its time, with one 0.7 to 1.1
   * (docs/decisions/0008).
   */
  private sumOfRows(x: Value, count: number): Value | null {
    const rows = sizeOf(x.shape.slice(0, count))
    const columns = sizeOf(x.shape.slice(count))
    const { device, isSameByThreads } = this.builder.target
    const isTurned = isSameByThreads && isCutByColumns(1, columns) // a long product of one column takes four times as long
    if (device !== 'cpu' || x.dtype !== 'float32' || rows === 0 || columns <= 1 || isTurned) return null
    return this.gemm(this.full([1, rows], 1), this.reshape(x, [rows, columns]))
  }

  /** Zeros (or `filling`) of a shape. */
  full(shape: readonly number[], filling = 0): Value {
    if (sizeOf(shape) === 0) return this.tensor(new Float32Array(0), shape)
    return this.expand(this.builder.scalar(filling), shape)
  }

  /** A float32 constant. */
  tensor(data: Float32Array, shape: readonly number[]): Value {
    return this.builder.constant(float32Constant(data, shape))
  }

  /** The value of `x` when it is a constant of the graph, else null. */
  constantOf(x: Value): Constant | null {
    return this.builder.constantOf(x)
  }

  private binary(opType: string, a: Operand, b: Operand, dtype?: ElementType): Value {
    const [x, y] = [this.operand(a), this.operand(b)]
    const shape = broadcastShape(x.shape, y.shape)
    return this.builder.emit(opType, [x, y], {}, { dtype: dtype ?? x.dtype, shape })
  }

  private reduce(opType: string, x: Value, axes: readonly number[], keep: boolean): Value {
    const shape = x.shape.flatMap((size, axis) => (axes.includes(axis) ? (keep ? [1] : []) : [size]))
    const inputs = [x, this.builder.integers(axes)]
    return this.builder.emit(opType, inputs, { keepdims: int(Number(keep)) }, { dtype: x.dtype, shape })
  }

  private operand(operand: Operand): Value {
    return typeof operand === 'number' ? this.builder.scalar(operand) : operand
  }
}

/**
 * Columns of a product from which its left matrix is turned before, if it has to be: onnxruntime turns it anew for
 * every 128 columns. The product takes 0.86 to 0.95 of the time then, and with 128 columns 1.0 to 1.2 times as long
 * (docs/decisions/0008).
 */
const columnsTurned = 256

/**
 * Whether threads share a product of this size by its columns, so few to each that onnxruntime (1.30) cuts the sum of
 * an element into other pieces than one thread would: up to 64 columns for each thread, and threads are four at most in
 * what is compared.
 */
export function isCutByColumns(rows: number, columns: number): boolean {
  return rows < columns && columns <= 64 * 4
}

/** The shape that `a` and `b` have after numpy's broadcasting. */
export function broadcastShape(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, axis) => {
    const x = a[axis - rank + a.length] ?? 1
    const y = b[axis - rank + b.length] ?? 1
    assert(x === y || x === 1 || y === 1, `[${a}] and [${b}] do not broadcast`)
    return x === 1 ? y : x
  })
}

/** Every axis of `x`. */
export function allAxes(x: Value): number[] {
  return x.shape.map((_, axis) => axis)
}

/** Every axis of `x` but the second, which in `[batch, channels, ...]` is the channels'. */
export function exceptChannels(x: Value): number[] {
  return allAxes(x).filter((axis) => axis !== 1)
}

/** `value` `[channels]` in a shape that broadcasts against `like` `[batch, channels, ...]`. */
export function perChannel(f: Formulas, value: Value, like: Value): Value {
  return f.reshape(value, [value.shape[0]!, ...like.shape.slice(2).map(() => 1)])
}

/** `axis`, counted from the front when negative. */
export function positiveAxis(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis])
}
