/**
 * Adds rows up by an index that comes with the data: what picking them by it has for a gradient. Picking is multiplying
 * by a matrix with a single 1 in each row, so its gradient is a product with that matrix transposed: in a fixed order of
 * additions, and on every backend. Where rows are many, and on a CPU, they are added one by one instead.
 */

import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { int, text } from '../onnx/graph.ts'
import { int64Constant, sizeOf } from '../onnx/types.ts'

/**
 * Rows of the table handled at once. The one-hot matrix has this many columns: 8192 and 4096 tokens are 128 MiB, the
 * most one WebGPU binding holds by default.
 */
const blockRows = 8192

/**
 * Rows of the table from which rows are added one by one instead of by a product with a one-hot matrix, which costs a
 * product as large as the table for each token. onnxruntime 1.30 on a CPU, table rows of 128: adding takes 1.05 of the
 * product's time with 256 rows and 0.57 with 512 on native, where two threads halve the product; on WebAssembly 0.94
 * with 32, 0.49 with 64, 0.25 with 256 (docs/decisions/0008). On a graphics processor the product stays: its graphs
 * hold no int64.
 */
const addedFromRows = { native: 512, wasm: 64 } as const

/** Elements of a one-hot matrix, 64 MiB, beyond which a CPU adds one by one whatever the table: for want of memory. */
const oneHotMax = 2 ** 24

/**
 * Σ of dY's rows by index: `[before, size, after]`, of dY `[before, count, after]`, `parted` so, and as many `indices`, of
 * any shape, int32 or int64.
 */
export function addRows(
  f: Formulas,
  dy: Value,
  parted: readonly [number, number, number],
  indices: Value,
  size: number,
): Value {
  const { device, isSameByThreads = false } = f.builder.target
  // of the backends on processors, WebAssembly is the one whose sums shall be the same by threads
  const isLarge = size >= addedFromRows[isSameByThreads ? 'wasm' : 'native'] || size * parted[1] > oneHotMax
  const isAdded = device === 'cpu' && isLarge
  return isAdded ? addOneByOne(f, dy, parted, indices, size) : pickRows(f, dy, parted, indices, size)
}

/**
 * ScatterElements adds in the order of the tokens. ScatterND would be quicker, and loses sums when two threads meet at
 * a row.
 */
function addOneByOne(
  f: Formulas,
  dy: Value,
  [before, count, after]: readonly [number, number, number],
  indices: Value,
  size: number,
): Value {
  const rows = f.expand(f.reshape(f.cast(indices, 'int64'), [1, count, 1]), [before, count, after])
  const inputs = [f.full([before, size, after]), rows, f.reshape(dy, [before, count, after])]
  const attributes = { axis: int(1), reduction: text('add') }
  return f.builder.emit('ScatterElements', inputs, attributes, {
    dtype: dy.dtype,
    shape: [before, size, after],
  })
}

/** By one-hot matrices, in blocks of rows. An index below zero counts from the end. */
function pickRows(
  f: Formulas,
  dy: Value,
  [before, count, after]: readonly [number, number, number],
  indices: Value,
  size: number,
): Value {
  const flat = fromFront(f, f.reshape(indices, [count]), size)
  const blocks: Value[] = []
  for (let start = 0; start < size; start += blockRows) {
    const isPicked = oneHot(f, flat, start, Math.min(blockRows, size - start))
    blocks.push(
      before === 1
        ? f.reshape(f.gemm(isPicked, f.reshape(dy, [count, after]), { transA: true }), [
            1,
            isPicked.shape[1]!,
            after,
          ])
        : f.matmul(f.transposeMatrix(isPicked), f.reshape(dy, [before, count, after])),
    )
  }
  return f.concat(blocks, 1)
}

/** `indices` into an axis of `size`, none of them below zero. */
function fromFront(f: Formulas, indices: Value, size: number): Value {
  return f.where(
    f.greater(integersLike(f, indices, [0]), indices),
    f.add(indices, integersLike(f, indices, [size])),
    indices,
  )
}

/** `[...indices, count]`: 1 where an index equals `start + column`. */
function oneHot(f: Formulas, indices: Value, start: number, count: number): Value {
  const values = Array.from({ length: count }, (_, index) => start + index)
  const columns = integersLike(f, indices, values)
  return f.cast(f.equal(f.reshape(indices, [...indices.shape, 1]), columns), 'float32')
}

/** A constant `[values.length]` of the dtype that `indices` have. */
function integersLike({ builder }: Formulas, indices: Value, values: readonly number[]): Value {
  if (indices.dtype === 'int64') return builder.constant(int64Constant(values))
  return builder.constant({ dtype: 'int32', shape: [values.length], data: Int32Array.from(values) })
}

/** `shape` as [elements before the axis, elements of its `width` dimensions, elements after them]. */
export function axisParts(shape: readonly number[], axis: number, width: number): [number, number, number] {
  return [
    sizeOf(shape.slice(0, axis)),
    sizeOf(shape.slice(axis, axis + width)),
    sizeOf(shape.slice(axis + width)),
  ]
}
