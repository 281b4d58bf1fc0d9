/**
 * Gradients of operators that pick or put single elements by index. Picking and putting are each other's gradient.
 *
 * Elements are always added with ScatterElements: with two threads, onnxruntime's native ScatterND loses additions that
 * meet at one place. GatherND and ScatterND are therefore spelled as rows of a flat tensor, with the row's number
 * computed from the index.
 */

import { type Formulas, positiveAxis } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { type Attributes, int, intOf, text, textOf } from '../onnx/graph.ts'
import { int64Constant, numbersOf, sizeOf, type TensorType } from '../onnx/types.ts'
import { type Application, gradient, spelled, spelledOnGpu, type Use, unsupportedUse } from './rule.ts'

export const scatter = {
  /** y[i] = x[index[i]] along an axis: dx = dy added to where it came from */
  GatherElements: gradient(({ f, x, dy, attributes }) => {
    const axis = positiveAxis(intOf(attributes, 'axis', 0), dy.shape.length)
    return put(f, f.full(x[0]!.shape), x[1]!, dy, axis, 'add')
  }, null),
  /** y = x with updates put, added, multiplied in, or compared: see below */
  ScatterElements: gradient(scatterData, null, scatterUpdates),
  /** y[i] = x[index[i], ...] */
  GatherND: spelled(gatherRows, [1]),
  ScatterND: spelled(scatterRows, [1]),
  /** dx = dy where the values were; indices of one row differ, so nothing is added */
  TopK: gradient(({ f, x, y, dy, attributes }) => {
    const axis = positiveAxis(intOf(attributes, 'axis', -1), dy.shape.length)
    return put(f, f.full(x[0]!.shape), y[1]!, dy, axis, 'none')
  }, null),
  /** A cache with updates put from a place of its own for each of the batch; `circular` goes on at the start. */
  TensorScatter: spelled(writtenCache, [2]),
  /** Elements of x go to flat places of y: dx = dy from there */
  MaxUnpool: spelledOnGpu(
    gradient(
      (application) => {
        const { f, dy, x, has } = application
        if (has(2)) throw unsupportedUse(application, 'it names its output shape', 'Leave output_size out.')
        return f.builder.emit('Gather', [f.reshape(dy, [sizeOf(dy.shape)]), x[1]!], { axis: int(0) }, x[0]!)
      },
      null,
      null,
    ),
    unpooled,
  ),
  /** Reversing twice changes nothing: dx = dy, reversed */
  ReverseSequence: spelledOnGpu(
    gradient(({ f, x, dy, attributes }) => {
      const isOnGpu = f.builder.target.device === 'gpu'
      return isOnGpu
        ? reversed(f, dy, x[1]!, attributes)
        : f.builder.emit('ReverseSequence', [dy, x[1]!], attributes, dy)
    }, null),
    ({ f, x, attributes }) => reversed(f, x[0]!, x[1]!, attributes),
  ),
} as const

type Reduction = 'none' | 'add' | 'mul' | 'max' | 'min'

/** `data` with `updates` put at `indices` along `axis`. */
function put(
  f: Formulas,
  data: Value,
  indices: Value,
  updates: Value,
  axis: number,
  reduction: Reduction,
): Value {
  const attributes = { axis: int(axis), reduction: text(reduction) }
  return f.builder.emit('ScatterElements', [data, indices, updates], attributes, data)
}

function pick(f: Formulas, x: Value, indices: Value, axis: number): Value {
  const type = { dtype: x.dtype, shape: indices.shape }
  return f.builder.emit('GatherElements', [x, indices], { axis: int(axis) }, type)
}

function pickRows(f: Formulas, x: Value, rows: Value, axis: number): Value {
  const shape = [...x.shape.slice(0, axis), ...rows.shape, ...x.shape.slice(axis + 1)]
  return f.builder.emit('Gather', [x, rows], { axis: int(axis) }, { dtype: x.dtype, shape })
}

function scatterForm({ attributes, x }: Application): { axis: number; reduction: Reduction } {
  return {
    axis: positiveAxis(intOf(attributes, 'axis', 0), x[0]!.shape.length),
    reduction: textOf(attributes, 'reduction', 'none') as Reduction,
  }
}

/**
 * none: dy where nothing was put ; add: dy ; mul: dy·Π updates ;
 * max, min: dy shared by all that reach y, as torch.scatter_reduce
 */
function scatterData(application: Application): Value {
  const { f, x, y, dy } = application
  const { axis, reduction } = scatterForm(application)
  const [data, indices, updates] = x as [Value, Value, Value]
  switch (reduction) {
    case 'none':
      return put(f, dy, indices, f.full(updates.shape), axis, 'none')
    case 'add':
      return dy
    case 'mul':
      return f.mul(dy, put(f, f.full(data.shape, 1), indices, updates, axis, 'mul'))
    default:
      return f.mul(f.cast(f.equal(data, y[0]!), 'float32'), extremeShare(application, axis))
  }
}

/** none, add: dy from there ; mul: dy·(what else was multiplied) ; max, min: the share of dy, where it is reached */
function scatterUpdates(application: Application): Value {
  const { f, x, y, dy } = application
  const { axis, reduction } = scatterForm(application)
  const [, indices, updates] = x as [Value, Value, Value]
  switch (reduction) {
    case 'none':
    case 'add':
      return pick(f, dy, indices, axis)
    case 'mul':
      return f.mul(pick(f, dy, indices, axis), otherFactors(application, axis))
    default: {
      const reaches = f.cast(f.equal(updates, pick(f, y[0]!, indices, axis)), 'float32')
      return f.mul(reaches, pick(f, extremeShare(application, axis), indices, axis))
    }
  }
}

/**
 * For each update, the product of the element and the other updates that it met: zeros are counted apart, since nothing
 * can be divided by them.
 */
function otherFactors({ f, x }: Application, axis: number): Value {
  const [data, indices, updates] = x as [Value, Value, Value]
  const isZero = (value: Value) => f.equal(value, 0)
  const zeros = put(f, asNumbers(f, isZero(data)), indices, asNumbers(f, isZero(updates)), axis, 'add')
  const [element, factors] = [data, updates].map((value) => f.where(isZero(value), 1, value)) as [
    Value,
    Value,
  ]
  const product = put(f, element, indices, factors, axis, 'mul')
  const hasZero = f.greater(pick(f, zeros, indices, axis), asNumbers(f, isZero(updates)))
  return f.where(hasZero, 0, f.div(pick(f, product, indices, axis), factors))
}

function asNumbers(f: Formulas, flags: Value): Value {
  return f.cast(flags, 'float32')
}

/** dy divided by how many of the element and its updates are equal to y. */
function extremeShare({ f, x, y, dy }: Application, axis: number): Value {
  const [data, indices, updates] = x as [Value, Value, Value]
  const own = f.cast(f.equal(data, y[0]!), 'float32')
  const reaching = f.cast(f.equal(updates, pick(f, y[0]!, indices, axis)), 'float32')
  return f.div(dy, put(f, own, indices, reaching, axis, 'add'))
}

function writtenCache(use: Use): Value {
  const { f, x, has, attributes } = use
  const [cache, update] = x as [Value, Value]
  const axis = positiveAxis(intOf(attributes, 'axis', -2), cache.shape.length)
  const count = update.shape[axis]!
  const along = f.reshape(
    f.builder.integers(Array.from({ length: count }, (_, place) => place)),
    update.shape.map((size, place) => (place === axis ? size : 1)),
  )
  const start = update.shape.map((size, place) => (place === 0 ? size : 1))
  const places = has(2) ? f.add(f.reshape(x[2]!, start), along) : along
  const size = f.builder.integers([cache.shape[axis]!])
  const isCircular = textOf(attributes, 'mode', 'linear') === 'circular'
  const wrapped = isCircular ? f.where(f.greaterOrEqual(places, size), f.sub(places, size), places) : places
  return put(f, cache, f.expand(wrapped, update.shape), update, axis, 'none')
}

function gatherRows(use: Use): Value {
  const { f, x, attributes } = use
  const batchDims = intOf(attributes, 'batch_dims', 0)
  const { rows, count, width } = flatRows(use, batchDims)
  const picked = pickRows(f, f.reshape(x[0]!, [count, width]), rows, 0)
  return f.reshape(picked, [
    ...x[1]!.shape.slice(0, -1),
    ...x[0]!.shape.slice(batchDims + x[1]!.shape.at(-1)!),
  ])
}

function scatterRows(use: Use): Value {
  const { f, x, attributes } = use
  const { rows, count, width } = flatRows(use, 0)
  const number = rows.shape[0]!
  const indices = f.expand(f.reshape(rows, [number, 1]), [number, width])
  const updates = f.reshape(x[2]!, [number, width])
  const reduction = textOf(attributes, 'reduction', 'none') as Reduction
  return f.reshape(put(f, f.reshape(x[0]!, [count, width]), indices, updates, 0, reduction), x[0]!.shape)
}

/**
 * The index tuples of GatherND and ScatterND as numbers of rows, `[tuples]` of their type, of the tensor taken as
 * `[count, width]`. The first `batchDims` dimensions of tensor and indices go together.
 */
function flatRows({ f, x }: Use, batchDims: number): { rows: Value; count: number; width: number } {
  const [{ shape }, indices] = x as [Value, Value]
  const depth = batchDims + indices.shape.at(-1)!
  const sizes = shape.slice(0, depth)
  const strides = sizes.map((_, axis) => sizeOf(sizes.slice(axis + 1)))
  const tuples = sizeOf(indices.shape.slice(0, -1))
  const perBatch = tuples / sizeOf(shape.slice(0, batchDims))
  const starts = Array.from({ length: tuples }, (_, tuple) => {
    const batch = Math.floor(tuple / perBatch)
    return batch * sizeOf(sizes.slice(batchDims))
  })
  const [indexSizes, indexStrides] = [sizes.slice(batchDims), strides.slice(batchDims)]
  const size = { count: sizeOf(sizes), width: sizeOf(shape.slice(depth)) }
  const known = f.constantOf(indices)
  if (known !== null) {
    const flat = starts.map((start, tuple) =>
      indexSizes.reduce((row, length, place) => {
        const index = Number(known.data[tuple * indexSizes.length + place]!)
        return row + (index < 0 ? index + length : index) * indexStrides[place]!
      }, start),
    )
    return { rows: f.builder.constant(int64Constant(flat)), ...size }
  }
  const numbers = (values: readonly number[]) =>
    indices.dtype === 'int64' ? f.builder.integers(values) : int32Numbers(f, values)
  const wrapped = f.where(f.greater(numbers([0]), indices), f.add(indices, numbers(indexSizes)), indices)
  const products = f.reduceSum(f.mul(wrapped, numbers(indexStrides)), [indices.shape.length - 1])
  return { rows: f.add(f.reshape(products, [tuples]), numbers(starts)), ...size }
}

function int32Numbers(f: Formulas, values: readonly number[]): Value {
  return f.builder.constant({ dtype: 'int32', shape: [values.length], data: Int32Array.from(values) })
}

/** Each element of the output picked from `x` or a zero where the places are known, else `x` put where they say. */
function unpooled({ f, x }: Use, type: TensorType): Value {
  const count = sizeOf(x[0]!.shape)
  const flat = f.reshape(x[0]!, [count])
  const places = f.constantOf(x[1]!)
  if (places === null) {
    return f.reshape(
      put(f, f.full([sizeOf(type.shape)]), f.reshape(x[1]!, [count]), flat, 0, 'none'),
      type.shape,
    )
  }
  const sources = new Int32Array(sizeOf(type.shape)).fill(count)
  for (const [source, place] of numbersOf(places).entries()) sources[place] = source
  const values = f.concat([flat, f.tensor(new Float32Array(1), [1])], 0)
  const order = f.builder.constant({ dtype: 'int32', shape: type.shape, data: sources })
  return f.builder.emit('Gather', [values, order], { axis: int(0) }, type)
}

/**
 * `x` with the first `lengths[b]` steps of each sequence b reversed: rows of `[first axis · second axis, ...]` picked
 * by number. Numbers are float32 until they pick, exact below 2^24, since lengths may be data and WebGPU leaves int64
 * to the CPU.
 */
function reversed(f: Formulas, x: Value, lengths: Value, attributes: Attributes): Value {
  const [first, second, ...rest] = x.shape as [number, number, ...number[]]
  const isTimeFirst = intOf(attributes, 'time_axis', 0) === 0
  const along = (size: number, isFirst: boolean) => {
    const steps = Float32Array.from({ length: size }, (_, index) => index)
    return f.tensor(steps, isFirst ? [size, 1] : [1, size])
  }
  const [rows, columns] = [along(first, true), along(second, false)]
  const times = isTimeFirst ? rows : columns
  const ends = f.reshape(f.cast(lengths, 'float32'), isTimeFirst ? [1, second] : [first, 1])
  const turned = f.where(f.greater(ends, times), f.sub(f.sub(ends, 1), times), times)
  const numbers = isTimeFirst ? f.add(f.mul(turned, second), columns) : f.add(f.mul(rows, second), turned)
  const order = f.reshape(f.cast(numbers, 'int32'), [first * second])
  const flat = f.reshape(x, [first * second, ...rest])
  return f.reshape(f.builder.emit('Gather', [flat, order], { axis: int(0) }, flat), x.shape)
}
