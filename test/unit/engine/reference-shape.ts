/** Matrix products, reductions, softmax and everything that moves elements, for the reference interpreter. */
import {
  at,
  atBroadcast,
  axisOf,
  broadcast,
  build,
  indicesOf,
  type Nd,
  type Plain,
  sizeOf,
} from './reference-array.ts'
import type { Operator } from './reference-elementwise.ts'

const numbers = (x: Nd | undefined) => (x === undefined ? undefined : [...x.data])
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

const matMul: Operator = ([left, right]) => {
  const a = left!.shape.length === 1 ? { ...left!, shape: [1, ...left!.shape] } : left!
  const b = right!.shape.length === 1 ? { ...right!, shape: [...right!.shape, 1] } : right!
  const lead = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2), [])
  const inner = a.shape.at(-1)!
  const y = build([...lead, a.shape.at(-2)!, b.shape.at(-1)!], (index) => {
    const [row, column] = index.slice(-2) as [number, number]
    const batch = index.slice(0, -2)
    const terms = Array.from(
      { length: inner },
      (_, k) => atMatrix(a, batch, row, k) * atMatrix(b, batch, k, column),
    )
    return sum(terms)
  })
  const vectors = [
    left!.shape.length === 1 ? y.shape.length - 2 : -1,
    right!.shape.length === 1 ? y.shape.length - 1 : -1,
  ]
  return { ...y, shape: y.shape.filter((_, axis) => !vectors.includes(axis)) }
}

function atMatrix(x: Nd, batch: readonly number[], row: number, column: number): number {
  const own = batch.slice(batch.length - (x.shape.length - 2))
  return at(x, [...own.map((position, axis) => (x.shape[axis] === 1 ? 0 : position)), row, column])
}

const gemm: Operator = ([a, b, c], attributes) => {
  const transA = attributes.transA === 1
  const transB = attributes.transB === 1
  const [rows, inner] = transA ? [a!.shape[1]!, a!.shape[0]!] : [a!.shape[0]!, a!.shape[1]!]
  const columns = transB ? b!.shape[0]! : b!.shape[1]!
  return build([rows, columns], ([i, j]) => {
    const terms = Array.from(
      { length: inner },
      (_, k) => at(a!, transA ? [k, i!] : [i!, k]) * at(b!, transB ? [j!, k] : [k, j!]),
    )
    const bias = c === undefined ? 0 : Number(attributes.beta ?? 1) * atBroadcast(c, [i!, j!])
    return Number(attributes.alpha ?? 1) * sum(terms) + bias
  })
}

const reduce =
  (formula: (values: readonly number[]) => number): Operator =>
  ([x, axesInput], attributes) => {
    const rank = x!.shape.length
    const axes = (numbers(axesInput) ?? x!.shape.map((_, axis) => axis)).map((axis) => axisOf(axis, rank))
    const kept = x!.shape.map((size, axis) => (axes.includes(axis) ? 1 : size))
    const inner = x!.shape.map((size, axis) => (axes.includes(axis) ? size : 1))
    const y = build(kept, (index) =>
      formula(
        [...indicesOf(inner)].map((offset) =>
          at(
            x!,
            index.map((position, axis) => position + offset[axis]!),
          ),
        ),
      ),
    )
    return attributes.keepdims === 0 ? { ...y, shape: x!.shape.filter((_, axis) => !axes.includes(axis)) } : y
  }

const softmax =
  (isLogarithm: boolean): Operator =>
  ([x], attributes) => {
    const axis = axisOf(Number(attributes.axis ?? -1), x!.shape.length)
    return build(x!.shape, (index) => {
      const row = Array.from({ length: x!.shape[axis]! }, (_, position) => at(x!, index.with(axis, position)))
      const logarithm = at(x!, index) - Math.log(sum(row.map(Math.exp)))
      return isLogarithm ? logarithm : Math.exp(logarithm)
    })
  }

const reshaped =
  (shapeOf: (x: Nd, inputs: readonly Nd[], attributes: Plain) => number[]): Operator =>
  (inputs, attributes) => ({ data: inputs[0]!.data, shape: shapeOf(inputs[0]!, inputs, attributes) })

const slice: Operator = ([x, starts, ends, axesInput, stepsInput]) => {
  const axes = numbers(axesInput) ?? [...starts!.data].map((_, axis) => axis)
  const start = x!.shape.map(() => 0)
  const step = x!.shape.map(() => 1)
  const shape = [...x!.shape]
  for (const [position, listed] of axes.entries()) {
    const axis = axisOf(listed, x!.shape.length)
    const size = x!.shape[axis]!
    step[axis] = numbers(stepsInput)?.[position] ?? 1
    const clamp = (bound: number) => {
      const positive = bound < 0 ? bound + size : bound
      return step[axis]! > 0
        ? Math.min(Math.max(positive, 0), size)
        : Math.min(Math.max(positive, -1), size - 1)
    }
    start[axis] = clamp(starts!.data[position]!)
    shape[axis] = Math.max(0, Math.ceil((clamp(ends!.data[position]!) - start[axis]!) / step[axis]!))
  }
  return build(shape, (index) =>
    at(
      x!,
      index.map((position, axis) => start[axis]! + position * step[axis]!),
    ),
  )
}

/** Walks from outside back into the axis, one rule of the mode at a time. */
function repeated(mode: string, position: number, size: number): number {
  if (position >= 0 && position < size) return position
  const isBefore = position < 0
  switch (mode) {
    case 'edge':
      return isBefore ? 0 : size - 1
    case 'reflect':
      return repeated(mode, isBefore ? -position : 2 * (size - 1) - position, size)
    case 'wrap':
      return repeated(mode, isBefore ? position + size : position - size, size)
    default:
      return position
  }
}

const pad: Operator = ([x, padsInput, value, axesInput], { mode }) => {
  const rank = x!.shape.length
  const axes = (numbers(axesInput) ?? x!.shape.map((_, axis) => axis)).map((axis) => axisOf(axis, rank))
  const before = x!.shape.map((_, axis) => (axes.includes(axis) ? padsInput!.data[axes.indexOf(axis)]! : 0))
  const after = x!.shape.map((_, axis) =>
    axes.includes(axis) ? padsInput!.data[axes.length + axes.indexOf(axis)]! : 0,
  )
  return build(
    x!.shape.map((size, axis) => before[axis]! + size + after[axis]!),
    (index) => {
      const from = index.map((position, axis) =>
        repeated(String(mode), position - before[axis]!, x!.shape[axis]!),
      )
      return from.every((position, axis) => position >= 0 && position < x!.shape[axis]!)
        ? at(x!, from)
        : (value?.data[0] ?? 0)
    },
  )
}

const gather: Operator = ([x, indices], attributes) => {
  const axis = axisOf(Number(attributes.axis ?? 0), x!.shape.length)
  const width = indices!.shape.length
  return build([...x!.shape.slice(0, axis), ...indices!.shape, ...x!.shape.slice(axis + 1)], (index) => {
    const row = at(indices!, index.slice(axis, axis + width))
    return at(x!, [...index.slice(0, axis), axisOf(row, x!.shape[axis]!), ...index.slice(axis + width)])
  })
}

const concat: Operator = (inputs, attributes) => {
  const axis = axisOf(Number(attributes.axis), inputs[0]!.shape.length)
  const total = sum(inputs.map((input) => input.shape[axis]!))
  return build(inputs[0]!.shape.with(axis, total), (index) => {
    let position = index[axis]!
    const owner = inputs.find((input) => {
      if (position < input.shape[axis]!) return true
      position -= input.shape[axis]!
      return false
    })
    return at(owner!, index.with(axis, position))
  })
}

const blocks =
  (
    shapeOf: (x: Nd, block: number) => number[],
    from: (index: number[], block: number, x: Nd, mode: string) => number[],
  ): Operator =>
  ([x], attributes) => {
    const block = Number(attributes.blocksize)
    return build(shapeOf(x!, block), (index) =>
      at(x!, from(index, block, x!, String(attributes.mode ?? 'DCR'))),
    )
  }

export const shapes: Readonly<Record<string, Operator>> = {
  MatMul: matMul,
  Gemm: gemm,
  ReduceSum: reduce(sum),
  ReduceMean: reduce((values) => sum(values) / values.length),
  ReduceSumSquare: reduce((values) => sum(values.map((value) => value * value))),
  ReduceL1: reduce((values) => sum(values.map(Math.abs))),
  ReduceL2: reduce((values) => Math.hypot(...values)),
  ReduceLogSum: reduce((values) => Math.log(sum(values))),
  ReduceLogSumExp: reduce((values) => Math.log(sum(values.map(Math.exp)))),
  ReduceProd: reduce((values) => values.reduce((product, value) => product * value, 1)),
  ReduceMax: reduce((values) => Math.max(...values)),
  ReduceMin: reduce((values) => Math.min(...values)),
  Softmax: softmax(false),
  LogSoftmax: softmax(true),
  Reshape: reshaped((x, [, target], { allowzero }) => {
    if (allowzero === 1) return [...target!.data]
    const listed = [...target!.data].map((size, axis) => (size === 0 ? x.shape[axis]! : size))
    const known = listed.filter((size) => size > 0).reduce((product, size) => product * size, 1)
    return listed.map((size) => (size < 0 ? sizeOf(x.shape) / known : size))
  }),
  Flatten: reshaped((x, _, { axis = 1 }) => {
    const at = axisOf(Number(axis), x.shape.length)
    return [sizeOf(x.shape.slice(0, at)), sizeOf(x.shape.slice(at))]
  }),
  Squeeze: reshaped((x, [, axes]) =>
    x.shape.filter((_, axis) => !numbers(axes)!.some((a) => axisOf(a, x.shape.length) === axis)),
  ),
  Unsqueeze: reshaped((x, [, axes]) => {
    const rank = x.shape.length + axes!.data.length
    const added = numbers(axes)!.map((axis) => axisOf(axis, rank))
    const sizes = [...x.shape]
    return Array.from({ length: rank }, (_, axis) => (added.includes(axis) ? 1 : sizes.shift()!))
  }),
  Transpose: ([x], attributes) => {
    const perm =
      (attributes.perm as readonly number[] | undefined) ?? x!.shape.map((_, axis) => axis).reverse()
    return build(
      perm.map((axis) => x!.shape[axis]!),
      (index) =>
        at(
          x!,
          x!.shape.map((_, axis) => index[perm.indexOf(axis)]!),
        ),
    )
  },
  Expand: ([x, target]) => build(broadcast(x!.shape, [...target!.data]), (index) => atBroadcast(x!, index)),
  Tile: ([x, repeats]) =>
    build(
      x!.shape.map((size, axis) => size * repeats!.data[axis]!),
      (index) =>
        at(
          x!,
          index.map((position, axis) => position % x!.shape[axis]!),
        ),
    ),
  Concat: concat,
  /** The part that the pseudo-attribute `read` names. */
  Split: ([x, sizes], attributes) => {
    const axis = axisOf(Number(attributes.axis ?? 0), x!.shape.length)
    const read = Number(attributes.read)
    const start = sum(numbers(sizes)!.slice(0, read))
    return build(x!.shape.with(axis, sizes!.data[read]!), (index) =>
      at(x!, index.with(axis, start + index[axis]!)),
    )
  },
  Slice: slice,
  Pad: pad,
  Gather: gather,
  GatherElements: ([x, indices], attributes) => {
    const axis = axisOf(Number(attributes.axis ?? 0), x!.shape.length)
    return build(indices!.shape, (index) =>
      at(x!, index.with(axis, axisOf(at(indices!, index), x!.shape[axis]!))),
    )
  },
  Trilu: ([x, k], attributes) =>
    build(x!.shape, (index) => {
      const distance = index.at(-1)! - index.at(-2)! - (k?.data[0] ?? 0)
      return (attributes.upper ?? 1) === 1
        ? distance >= 0
          ? at(x!, index)
          : 0
        : distance <= 0
          ? at(x!, index)
          : 0
    }),
  DepthToSpace: blocks(
    ({ shape: [n, c, h, w] }, b) => [n!, c! / (b * b), h! * b, w! * b],
    ([n, c, h, w], b, x, mode) => {
      const tap = (h! % b) * b + (w! % b)
      const depth = mode === 'CRD' ? c! * b * b + tap : tap * (x.shape[1]! / (b * b)) + c!
      return [n!, depth, Math.floor(h! / b), Math.floor(w! / b)]
    },
  ),
  SpaceToDepth: blocks(
    ({ shape: [n, c, h, w] }, b) => [n!, c! * b * b, h! / b, w! / b],
    ([n, depth, h, w], b, x) => {
      const channels = x.shape[1]!
      const tap = Math.floor(depth! / channels)
      return [n!, depth! % channels, h! * b + Math.floor(tap / b), w! * b + (tap % b)]
    },
  ),
}
