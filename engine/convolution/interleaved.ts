/**
 * Images whose elements come in turns from several parts: of rows·columns parts, the one of row r and column c has the
 * elements rows·i + r down and columns·j + c across. Every second element of an image in one value of its own is what
 * a stride of two reads, and what lies under one corner of each 2×2 window.
 *
 * Parts are in blocks (blocked-layout.ts), where a point's channels are moved together; single elements would be moved
 * ten times as slowly. Who has use for the parts of an image finds them again.
 */

import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { sizeOf } from '../onnx/types.ts'
import { blocksOf, outOfBlocks } from './blocked-layout.ts'

/** How many parts take turns down and across. */
export type Turns = readonly [rows: number, columns: number]

/** What an image is put together of. */
export interface Interleaved {
  /** In blocks, the columns of a row side by side. */
  readonly parts: readonly Value[]
  readonly turns: Turns
}

/**
 * `parts` `[batch, channels, height, width]` in blocks, the columns of a row side by side, as one plain image
 * `[batch, channels, rows·height, columns·width]`.
 */
export function interleave(f: Formulas, parts: readonly Value[], [rows, columns]: Turns): Value {
  const [batch, channels, height, width] = parts[0]!.shape as [number, number, number, number]
  const lines = batch * (channels / f.builder.target.channelBlock!) * height
  const ofRows = Array.from({ length: rows }, (_, row) =>
    takingTurns(f, parts.slice(row * columns, (row + 1) * columns), lines * width),
  )
  const whole = takingTurns(f, ofRows, lines)
  return outOfBlocks(f, f.reshape(whole, [batch, channels, rows * height, columns * width]))
}

/** What takes turns in the plain `image` both down and across; null where nothing does. */
export function partsOf(f: Formulas, image: Value): Interleaved | null {
  const blocks = blocksOf(f, image)
  if (blocks === null) return null
  const block = f.builder.target.channelBlock!
  const rows = piecesOf(f, blocks, image.shape[3]! * block)
  const columns = rows?.map((row) => piecesOf(f, row, block)).filter((pieces) => pieces !== null) ?? []
  if (rows === null || columns.length < rows.length) return null
  return { parts: columns.flat(), turns: [columns.length, columns[0]!.length] }
}

/** `parts`, of equal size, cut into `count` pieces each: the first of every part, then the second, and so on. */
function takingTurns(f: Formulas, parts: readonly Value[], count: number): Value {
  const cut = parts.map((part) => f.reshape(part, [count, sizeOf(part.shape) / count]))
  return f.concat(cut, 1)
}

/** What takes turns in `value` with pieces of `length` elements; null where nothing does. */
function piecesOf(f: Formulas, value: Value, length: number): Value[] | null {
  const maker = f.builder.makerOf(unshaped(f, value))
  if (maker?.opType !== 'Concat' || maker.inputs.some((piece) => piece!.shape[1] !== length)) return null
  return maker.inputs.map((piece) => unshaped(f, piece!))
}

/** `value` before it was given its shape. */
function unshaped(f: Formulas, value: Value): Value {
  const maker = f.builder.makerOf(value)
  return maker?.opType === 'Reshape' ? maker.inputs[0]! : value
}
