/** Every way a random graph grows: arithmetic and movements here, the larger operators in steps-layer.ts. */
import {
  broadcastingOperators,
  exponentialOperators,
  reductionOperators,
  unaryOperators,
} from '../operators.ts'
import { indicesOf, sizeOf } from '../reference-array.ts'
import type { Known, Site, Step } from './random-graph.ts'
import { among, below, flip } from './site-words.ts'
import { layerSteps } from './steps-layer.ts'

const range = (length: number) => Array.from({ length }, (_, index) => index)
const least = ({ data }: Known) => data.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
const largest = ({ data }: Known) => data.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
const closest = ({ data }: Known) => data.reduce((a, b) => Math.min(a, Math.abs(b)), Number.POSITIVE_INFINITY)
const ints = (site: Site, ...data: number[]) => site.constant('int64', [data.length], data)
/** An axis of `x`, counted from the end half of the time. */
const axisOf = (site: Site, x: Known) => {
  const axis = below(site, x.shape.length)
  return flip(site) ? axis : axis - x.shape.length
}
const positive = (axis: number, x: Known) => (axis < 0 ? axis + x.shape.length : axis)

/** Flat functions too: what lies behind them must not move. */
const plain = [...unaryOperators, 'Floor', 'Sign']

const unary: Step = (site) => {
  const x = site.pick()
  return x === null ? null : { op: among(site, plain), inputs: [x] }
}

const bounded: Step = (site) => {
  const x = site.pick((value) => largest(value) < 3)
  return x === null ? null : { op: among(site, exponentialOperators), inputs: [x] }
}

const gelu: Step = (site) => {
  const x = site.pick((value) => largest(value) < 3.5)
  return x === null
    ? null
    : { op: 'Gelu', inputs: [x], attributes: { approximate: among(site, ['none', 'tanh']) } }
}

const ofPositive: Step = (site) => {
  const x = site.pick((value) => least(value) > 0.2)
  return x === null ? null : { op: among(site, ['Log', 'Sqrt', 'Reciprocal']), inputs: [x] }
}

const tangent: Step = (site) => {
  const x = site.pick((value) => largest(value) < 1.2)
  return x === null ? null : { op: 'Tan', inputs: [x] }
}

/** A shape that broadcasts with `shape`: dimensions dropped at the front, ones in places, now and then one more. */
function partner(site: Site, shape: readonly number[]): number[] {
  const kept = shape.slice(below(site, shape.length + 1))
  const sizes = kept.map((size) => (size === 1 ? 1 + below(site, 3) : below(site, 4) === 0 ? 1 : size))
  return kept.length === shape.length && shape.length < 5 && below(site, 6) === 0 ? [2, ...sizes] : sizes
}

const fits = (a: readonly number[], b: readonly number[]) =>
  a.toReversed().every((size, axis) => {
    const other = b.toReversed()[axis] ?? 1
    return size === other || size === 1 || other === 1
  })

const binary: Step = (site) => {
  const x = site.pick()
  if (x === null) return null
  const op = among(site, broadcastingOperators)
  const other = flip(site) ? site.pick((value) => fits(x.shape, value.shape)) : null
  const pair = [x, other ?? site.parameter(partner(site, x.shape))]
  return { op, inputs: flip(site) ? pair : pair.reverse() }
}

const quotient: Step = (site) => {
  const x = site.pick()
  if (x === null) return null
  const other = site.pick((value) => fits(x.shape, value.shape) && closest(value) > 0.3)
  return { op: 'Div', inputs: [x, other ?? site.parameter(partner(site, x.shape), 0.4, 2)] }
}

const power: Step = (site) => {
  const x = site.pick((value) => least(value) > 0.1 && largest(value) < 3)
  return x === null ? null : { op: 'Pow', inputs: [x, site.parameter(partner(site, x.shape))] }
}

const square: Step = (site) => {
  const x = site.pick((value) => largest(value) < 3)
  return x === null ? null : { op: 'Pow', inputs: [x, site.constant('float32', [], [among(site, [2, 3])])] }
}

const choice: Step = (site) => {
  const x = site.pick()
  if (x === null) return null
  const shape = partner(site, x.shape)
  const flags = range(sizeOf(shape)).map(() => below(site, 2))
  const pair = [x, site.parameter(partner(site, x.shape))]
  if (!fits(shape, pair[1]!.shape)) return null
  return {
    op: 'Where',
    inputs: [site.constant('bool', shape, flags), ...(flip(site) ? pair : pair.reverse())],
  }
}

const clip: Step = (site) => {
  const x = site.pick()
  return (
    x && {
      op: 'Clip',
      inputs: [x, site.constant('float32', [], [-0.7]), site.constant('float32', [], [0.9])],
    }
  )
}

const reduction: Step = (site) => {
  const x = site.pick((value) => value.shape.length > 0 && closest(value) > 1e-3)
  if (x === null) return null
  const axes = range(x.shape.length).filter(() => flip(site))
  const some = axes.length > 0 ? axes : [axisOf(site, x)]
  return {
    op: among(site, reductionOperators),
    inputs: [x, ints(site, ...some)],
    attributes: { keepdims: below(site, 2) },
  }
}

const reshape: Step = (site) => {
  const x = site.pick()
  if (x === null) return null
  const shape: number[] = []
  let rest = x.data.length
  while (rest > 1 && shape.length < 4) {
    const divisors = range(rest).filter((size) => rest % (size + 1) === 0)
    shape.push(1 + among(site, divisors))
    rest /= shape.at(-1)!
  }
  return { op: 'Reshape', inputs: [x, ints(site, ...shape, rest)] }
}

function shuffled(site: Site, items: number[]): number[] {
  for (let last = items.length - 1; last > 0; last--) {
    const other = below(site, last + 1)
    ;[items[last], items[other]] = [items[other]!, items[last]!]
  }
  return items
}

const transpose: Step = (site) => {
  const x = site.pick(({ shape }) => shape.length > 1)
  return x && { op: 'Transpose', inputs: [x], attributes: { perm: shuffled(site, range(x.shape.length)) } }
}

const expand: Step = (site) => {
  const x = site.pick(({ shape, data }) => shape.length < 5 && data.length < 40)
  if (x === null) return null
  const shape = x.shape.map((size) => (size === 1 ? 1 + below(site, 3) : size))
  return { op: 'Expand', inputs: [x, ints(site, ...(flip(site) ? [2] : []), ...shape)] }
}

const tile: Step = (site) => {
  const x = site.pick(({ shape, data }) => shape.length > 0 && data.length < 40)
  return x && { op: 'Tile', inputs: [x, ints(site, ...x.shape.map(() => 1 + below(site, 2)))] }
}

const concat: Step = (site) => {
  const x = site.pick(({ shape }) => shape.length > 0)
  if (x === null) return null
  const axis = axisOf(site, x)
  const other = site.parameter(x.shape.with(positive(axis, x), 1 + below(site, 3)))
  const parts = flip(site) ? [x, other] : [other, x, x]
  return { op: 'Concat', inputs: parts, attributes: { axis } }
}

const split: Step = (site) => {
  const x = site.pick(({ shape }) => shape.some((size) => size > 1))
  if (x === null) return null
  const axis = x.shape.findIndex((size) => size > 1)
  const first = 1 + below(site, x.shape[axis]! - 1)
  return {
    op: 'Split',
    inputs: [x, ints(site, first, x.shape[axis]! - first)],
    attributes: { axis },
    outputs: 2,
  }
}

const slice: Step = (site) => {
  const x = site.pick(({ shape }) => shape.length > 0)
  if (x === null) return null
  const axis = axisOf(site, x)
  const size = x.shape[positive(axis, x)]!
  const step = among(site, [1, 1, 2, 3, -1, -2])
  const start = below(site, size)
  const [from, to] = step > 0 ? [start, flip(site) ? 100 : size] : [start, -100]
  return { op: 'Slice', inputs: [x, ints(site, from), ints(site, to), ints(site, axis), ints(site, step)] }
}

const pad: Step = (site) => {
  const x = site.pick(({ shape }) => shape.length > 0)
  if (x === null) return null
  const counts = [...x.shape, ...x.shape].map((size) => (size > 2 ? below(site, 4) - 1 : below(site, 2)))
  return { op: 'Pad', inputs: [x, ints(site, ...counts)] }
}

const gather: Step = (site) => {
  const x = site.pick(({ shape }) => shape.length > 0)
  if (x === null) return null
  const axis = axisOf(site, x)
  const size = x.shape[positive(axis, x)]!
  const shape = among(site, [[], [2], [3], [2, 2]])
  const rows = range(sizeOf(shape)).map(() => below(site, 2 * size) - size)
  return { op: 'Gather', inputs: [x, site.constant('int64', shape, rows)], attributes: { axis } }
}

const gatherElements: Step = (site) => {
  const x = site.pick(({ shape }) => shape.length > 0)
  if (x === null) return null
  const axis = axisOf(site, x)
  const size = x.shape[positive(axis, x)]!
  const shape = x.shape.with(positive(axis, x), 1 + below(site, 3))
  const rows = range(sizeOf(shape)).map(() => below(site, 2 * size) - size)
  return { op: 'GatherElements', inputs: [x, site.constant('int64', shape, rows)], attributes: { axis } }
}

const gatherNd: Step = (site) => {
  const x = site.pick(({ shape }) => shape.length > 0)
  if (x === null) return null
  const depth = 1 + below(site, x.shape.length)
  const tuples = range(3).flatMap(() => x.shape.slice(0, depth).map((size) => below(site, 2 * size) - size))
  return { op: 'GatherND', inputs: [x, site.constant('int64', [3, depth], tuples)] }
}

/** Different places only, unless what meets is added: otherwise the last one wins, and which that is is not said. */
const scatterElements: Step = (site) => {
  const x = site.pick(({ shape }) => shape.length > 0)
  if (x === null) return null
  const axis = positive(axisOf(site, x), x)
  const size = x.shape[axis]!
  const count = 1 + below(site, size)
  const shape = x.shape.with(axis, count)
  const order = shuffled(site, range(size))
  const places = [...indicesOf(shape)].map((index) => order[index[axis]!]!)
  const reduction = among(site, ['none', 'add', 'mul', 'max'])
  return {
    op: 'ScatterElements',
    inputs: [x, site.constant('int64', shape, places), site.parameter(shape)],
    attributes: { axis, reduction },
  }
}

const scatterNd: Step = (site) => {
  const x = site.pick(({ shape }) => shape.length > 0)
  if (x === null) return null
  const rows = range(2).map(() => below(site, x.shape[0]!))
  const updates = site.parameter([2, ...x.shape.slice(1)])
  return {
    op: 'ScatterND',
    inputs: [x, site.constant('int64', [2, 1], rows), updates],
    attributes: { reduction: 'add' },
  }
}

const triangle: Step = (site) => {
  const x = site.pick(({ shape }) => shape.length > 1)
  return (
    x && {
      op: 'Trilu',
      inputs: [x, site.constant('int64', [], [below(site, 3) - 1])],
      attributes: { upper: below(site, 2) },
    }
  )
}

const running: Step = (site) => {
  const x = site.pick(({ shape }) => shape.length > 0)
  if (x === null) return null
  const attributes = { exclusive: below(site, 2), reverse: below(site, 2) }
  return { op: 'CumSum', inputs: [x, site.constant('int64', [], [axisOf(site, x)])], attributes }
}

const squeeze: Step = (site) => {
  const x = site.pick(({ shape }) => shape.includes(1))
  if (x !== null && flip(site)) return { op: 'Squeeze', inputs: [x, ints(site, x.shape.indexOf(1))] }
  const y = site.pick(({ shape }) => shape.length < 5)
  return y && { op: 'Unsqueeze', inputs: [y, ints(site, below(site, y.shape.length + 1))] }
}

const topK: Step = (site) => {
  const x = site.pick(({ shape, data }) => shape.length > 0 && new Set(data).size === data.length)
  if (x === null) return null
  const axis = axisOf(site, x)
  const k = 1 + below(site, x.shape[positive(axis, x)]!)
  return {
    op: 'TopK',
    inputs: [x, ints(site, k)],
    attributes: { axis, largest: below(site, 2) },
    outputs: 2,
    read: 1,
  }
}

const crop: Step = (site) => {
  const x = site.pick(({ shape }) => shape.length > 0)
  return (
    x && {
      op: 'CenterCropPad',
      inputs: [x, ints(site, ...x.shape.map((size) => Math.max(1, size + below(site, 4) - 2)))],
    }
  )
}

export const steps: readonly Step[] = [
  ...[
    unary,
    unary,
    unary,
    bounded,
    gelu,
    ofPositive,
    tangent,
    binary,
    binary,
    binary,
    quotient,
    power,
    square,
  ],
  ...[
    choice,
    clip,
    reduction,
    reduction,
    reshape,
    transpose,
    expand,
    tile,
    concat,
    concat,
    split,
    slice,
    slice,
  ],
  ...[
    pad,
    gather,
    gatherElements,
    gatherNd,
    scatterElements,
    scatterNd,
    triangle,
    running,
    squeeze,
    topK,
    crop,
  ],
  ...layerSteps,
]
