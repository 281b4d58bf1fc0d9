/**
 * Puts rows back to where they were picked by numbers that are known when the graph is made: the gradient of slices, of
 * mirrored or repeated edges, of a table read at fixed places.
 *
 * Any such picking is a product with a matrix of zeros and ones. That stands in the graph, so only a small one is made;
 * rows in steps are moved, rows of which each was picked once are picked back, and others are added up by index.
 */

import { withZeros } from '../convolution/with-zeros.ts'
import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { int } from '../onnx/graph.ts'
import { addRows, axisParts } from './added-rows.ts'

/** Elements of the largest matrix of zeros and ones, 1 MiB: a graph is sent, read and held several times. */
const matrixMax = 2 ** 18

/** Pieces that are put back one by one and added; a mirrored edge is three. Each costs a pass over the whole result. */
const piecesMax = 8

/** Neighbours in the order of picking, from the one at `from` on, that are `step` apart. */
interface Piece {
  readonly from: number
  readonly rows: readonly number[]
  readonly step: number
}

/**
 * The gradient of picking the constant `rows`, each from 0 to `size` - 1, along `axis` of a tensor with `size` of them;
 * `dy` has `rows.length` there.
 */
export function selectRows(
  f: Formulas,
  dy: Value,
  axis: number,
  rows: readonly number[],
  size: number,
): Value {
  const [before, count, after] = axisParts(dy.shape, axis, 1)
  const flat = f.reshape(dy, [before, count, after])
  return f.reshape(putBack(f, flat, rows, size), dy.shape.with(axis, size))
}

/** `dy` `[before, rows.length, after]` as `[before, size, after]`. */
function putBack(f: Formulas, dy: Value, rows: readonly number[], size: number): Value {
  const [before, count, after] = dy.shape as [number, number, number]
  const pieces = piecesOf(rows)
  const [only] = pieces
  if (only === undefined) return f.full([before, size, after])
  if (pieces.length === 1 && only.step > 0) return spreadRows(f, dy, only, size)
  if (size * count <= matrixMax) return f.matmul(matrixOf(f, rows, size), dy)
  if (new Set(rows).size === count) return pickBack(f, dy, rows, size)
  if (pieces.length > piecesMax) {
    const indices = f.builder.constant({ dtype: 'int32', shape: [count], data: Int32Array.from(rows) })
    return addRows(f, dy, [before, count, after], indices, size)
  }
  return pieces.map((piece) => putPiece(f, dy, piece, size)).reduce((sum, part) => f.add(sum, part))
}

/** The longest pieces, from the first row on. A row by itself is a piece of step 1. */
function piecesOf(rows: readonly number[]): Piece[] {
  const pieces: Piece[] = []
  for (let from = 0; from < rows.length; ) {
    const step = from + 1 < rows.length ? rows[from + 1]! - rows[from]! : 1
    let end = from + 1
    while (end < rows.length && rows[end]! - rows[end - 1]! === step) end += 1
    pieces.push({ from, rows: rows.slice(from, end), step })
    from = end
  }
  return pieces
}

function putPiece(f: Formulas, dy: Value, { from, rows, step }: Piece, size: number): Value {
  const part = f.slice(dy, [{ axis: 1, start: from, count: rows.length }])
  return step === 0
    ? putBack(f, f.reduceSum(part, [1], true), rows.slice(0, 1), size)
    : putBack(f, part, rows, size)
}

function spreadRows(f: Formulas, dy: Value, { rows, step }: Piece, size: number): Value {
  const [first] = rows as [number]
  const apart = withZeros(f, dy, 1, step)
  return f.pad(apart, [0, first, 0], [0, size - first - apart.shape[1]!, 0])
}

/** `[size, rows.length]`: 1 where a row was picked. */
function matrixOf(f: Formulas, rows: readonly number[], size: number): Value {
  const matrix = new Float32Array(size * rows.length)
  for (const [index, row] of rows.entries()) matrix[row * rows.length + index] = 1
  return f.tensor(matrix, [size, rows.length])
}

/** Of rows that differ: each place of the result picks its row, or the zeros that stand behind all of them. */
function pickBack(f: Formulas, dy: Value, rows: readonly number[], size: number): Value {
  const [before, count, after] = dy.shape as [number, number, number]
  const sources = new Int32Array(size).fill(count)
  for (const [index, row] of rows.entries()) sources[row] = index
  const order = f.builder.constant({ dtype: 'int32', shape: [size], data: sources })
  const withZero = count === size ? dy : f.pad(dy, [0, 0, 0], [0, 1, 0])
  return f.builder.emit(
    'Gather',
    [withZero, order],
    { axis: int(1) },
    {
      dtype: dy.dtype,
      shape: [before, size, after],
    },
  )
}
