/**
 * Operators that pick and put elements by index, running sums, Einsum: the reference interpreter's, by their
 * definitions.
 */
import { at, axisOf, build, indicesOf, type Nd, offsetOf, type Plain } from './reference-array.ts'
import type { Operator } from './reference-elementwise.ts'

const number = (attributes: Plain, name: string, otherwise: number) => Number(attributes[name] ?? otherwise)

/** `x` with a change made in place. */
function changed(
  x: Nd,
  change: (data: Float64Array, flat: (index: readonly number[]) => number) => void,
): Nd {
  const data = x.data.slice()
  change(data, (index) =>
    index.reduce((offset, p, axis) => offset * x.shape[axis]! + axisOf(p, x.shape[axis]!), 0),
  )
  return { shape: x.shape, data }
}

const combine: Record<string, (old: number, update: number) => number> = {
  none: (_, update) => update,
  add: (old, update) => old + update,
  mul: (old, update) => old * update,
  max: Math.max,
  min: Math.min,
}

const scatterElements: Operator = ([x, indices, updates], attributes) => {
  const axis = axisOf(number(attributes, 'axis', 0), x!.shape.length)
  return changed(x!, (data, flat) => {
    for (const index of indicesOf(indices!.shape)) {
      const place = flat(index.with(axis, at(indices!, index)))
      data[place] = combine[String(attributes.reduction ?? 'none')]!(data[place]!, at(updates!, index))
    }
  })
}

const scatterNd: Operator = ([x, indices, updates], attributes) =>
  changed(x!, (data, flat) => {
    const lead = indices!.shape.slice(0, -1)
    const depth = indices!.shape.at(-1)!
    for (const tuple of indicesOf(lead)) {
      const to = Array.from({ length: depth }, (_, place) => at(indices!, [...tuple, place]))
      for (const inner of indicesOf(x!.shape.slice(depth))) {
        const place = flat([...to, ...inner])
        const update = at(updates!, [...tuple, ...inner])
        data[place] = combine[String(attributes.reduction ?? 'none')]!(data[place]!, update)
      }
    }
  })

const gatherNd: Operator = ([x, indices], attributes) => {
  const batch = number(attributes, 'batch_dims', 0)
  const depth = indices!.shape.at(-1)!
  const lead = indices!.shape.slice(0, -1)
  return build([...lead, ...x!.shape.slice(batch + depth)], (index) => {
    const tuple = index.slice(0, lead.length)
    const from = Array.from({ length: depth }, (_, place) =>
      axisOf(at(indices!, [...tuple, place]), x!.shape[batch + place]!),
    )
    return at(x!, [...tuple.slice(0, batch), ...from, ...index.slice(lead.length)])
  })
}

const cumulative =
  (start: number, combineTwo: (total: number, value: number) => number): Operator =>
  ([x, axisInput], attributes) => {
    const axis = axisOf(axisInput!.data[0]!, x!.shape.length)
    const isExclusive = attributes.exclusive === 1
    return build(x!.shape, (index) => {
      let total = start
      for (let position = 0; position < x!.shape[axis]!; position++) {
        const isBefore = attributes.reverse === 1 ? position > index[axis]! : position < index[axis]!
        const counts = isBefore || (!isExclusive && position === index[axis])
        if (counts) total = combineTwo(total, at(x!, index.with(axis, position)))
      }
      return total
    })
  }

/** Every assignment of numbers to labels adds the product of what it picks to where it belongs. */
const einsum: Operator = (inputs, attributes) => {
  const [left, right] = String(attributes.equation).split('->') as [string, string]
  const widest = Math.max(
    ...left.split(',').map((term, i) => inputs[i]!.shape.length - term.replace('...', '').length),
  )
  const labelsOf = (term: string, rank: number) => {
    const width = rank - term.replace('...', '').length
    return [...term.replace('...', 'ABCD'.slice(widest - width, widest))]
  }
  const terms = left.split(',').map((term, index) => labelsOf(term, inputs[index]!.shape.length))
  const output = labelsOf(right, right.includes('...') ? right.length - 3 + widest : right.length)
  const sizes = new Map<string, number>()
  for (const [operand, labels] of terms.entries()) {
    for (const [axis, label] of labels.entries()) {
      if ((sizes.get(label) ?? 1) === 1) sizes.set(label, inputs[operand]!.shape[axis]!)
    }
  }
  const all = [...sizes.keys()]
  const zero = build(
    output.map((label) => sizes.get(label)!),
    () => 0,
  )
  return changed(zero, (data, flat) => {
    for (const values of indicesOf([...sizes.values()])) {
      const value = (label: string) => values[all.indexOf(label)]!
      const product = terms.reduce((total, labels, operand) => {
        const { shape } = inputs[operand]!
        return (
          total *
          at(
            inputs[operand]!,
            labels.map((label, axis) => (shape[axis] === 1 ? 0 : value(label))),
          )
        )
      }, 1)
      data[flat(output.map(value))]! += product
    }
  })
}

const topK: Operator = ([x, k], attributes) => {
  const axis = axisOf(number(attributes, 'axis', -1), x!.shape.length)
  return build(x!.shape.with(axis, k!.data[0]!), (index) => {
    const row = Array.from({ length: x!.shape[axis]! }, (_, place) => at(x!, index.with(axis, place)))
    const sorted = row.sort((a, b) => (attributes.largest === 0 ? a - b : b - a))
    return sorted[index[axis]!]!
  })
}

export const scatters: Readonly<Record<string, Operator>> = {
  ScatterElements: scatterElements,
  ScatterND: scatterNd,
  GatherND: gatherNd,
  CumSum: cumulative(0, (total, value) => total + value),
  CumProd: cumulative(1, (total, value) => total * value),
  Einsum: einsum,
  TopK: topK,
  /** With kernel and strides the default output shape is the tiles'. */
  MaxUnpool: ([x, indices], attributes) => {
    const kernel = attributes.kernel_shape as readonly number[]
    const strides = attributes.strides as readonly number[]
    const size = x!.shape.slice(2).map((length, axis) => (length - 1) * strides[axis]! + kernel[axis]!)
    const zero = build([...x!.shape.slice(0, 2), ...size], () => 0)
    return changed(zero, (data) => {
      for (const [flat, place] of indices!.data.entries()) data[place] = x!.data[flat]!
    })
  },
  TensorScatter: ([cache, update, starts], attributes) => {
    const axis = axisOf(number(attributes, 'axis', -2), cache!.shape.length)
    return changed(cache!, (data) => {
      for (const [flat, index] of [...indicesOf(update!.shape)].entries()) {
        const place = index[axis]! + (starts?.data[index[0]!] ?? 0)
        const wrapped = attributes.mode === 'circular' ? place % cache!.shape[axis]! : place
        data[offsetOf(cache!.shape, index.with(axis, wrapped))] = update!.data[flat]!
      }
    })
  },
  Compress: ([x, flags], attributes) => {
    const kept = [...flags!.data].flatMap((flag, index) => (flag === 0 ? [] : [index]))
    if (attributes.axis === undefined) return build([kept.length], ([place]) => x!.data[kept[place!]!]!)
    const axis = axisOf(Number(attributes.axis), x!.shape.length)
    return build(x!.shape.with(axis, kept.length), (index) => at(x!, index.with(axis, kept[index[axis]!]!)))
  },
  ReverseSequence: ([x, lengths], attributes) => {
    const [time, batch] = [number(attributes, 'time_axis', 0), number(attributes, 'batch_axis', 1)]
    return build(x!.shape, (index) => {
      const length = lengths!.data[index[batch]!]!
      return index[time]! < length ? at(x!, index.with(time, length - 1 - index[time]!)) : at(x!, index)
    })
  },
  CenterCropPad: ([x, sizes], attributes) => {
    const axes = ((attributes.axes as readonly number[]) ?? x!.shape.map((_, axis) => axis)).map((axis) =>
      axisOf(axis, x!.shape.length),
    )
    const shape = [...x!.shape]
    for (const [place, axis] of axes.entries()) shape[axis] = sizes!.data[place]!
    const shift = shape.map((size, axis) => {
      const excess = x!.shape[axis]! - size
      return excess >= 0 ? Math.floor(excess / 2) : -Math.floor(-excess / 2)
    })
    return build(shape, (index) => {
      const from = index.map((position, axis) => position + shift[axis]!)
      const isInside = from.every((position, axis) => position >= 0 && position < x!.shape[axis]!)
      return isInside ? at(x!, from) : 0
    })
  },
  Det: ([x]) => build(x!.shape.slice(0, -2), (index) => determinant(matrixAt(x!, index))),
}

function matrixAt(x: Nd, lead: readonly number[]): number[][] {
  const size = x.shape.at(-1)!
  return Array.from({ length: size }, (_, row) =>
    Array.from({ length: size }, (__, column) => at(x, [...lead, row, column])),
  )
}

/** Expansion along the first row (Laplace). */
function determinant(matrix: readonly (readonly number[])[]): number {
  if (matrix.length === 0) return 1
  return matrix[0]!.reduce((total, value, column) => {
    const minor = matrix.slice(1).map((row) => row.toSpliced(column, 1))
    return total + (column % 2 === 0 ? 1 : -1) * value * determinant(minor)
  }, 0)
}
