/**
 * What taps read at every window position, of windows that step one by one over all of an image, with all elements of
 * an image in one line.
 *
 * Position p then reads element p + shift, the same shift for all positions of a tap: one piece of the line, which is
 * copied as fast as memory is, where a piece of every row takes twice as long (docs/decisions/0008). Before and after
 * the line there are zeros. At the ends of a row position p + shift lies in a neighbouring row, where the tap reads
 * padding: such elements are zeros in a copy of the line, one for all taps that lie equally far along all axes but the
 * first.
 */

import { tapsOf, type Windows } from '../convolution/windows.ts'
import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { sizeOf } from '../onnx/types.ts'

/** Whether every position of `windows` reads the element of its own place, shifted by what the tap says. */
export function areInLine({ strides, inputSize, outputSize }: Windows): boolean {
  return (
    strides.every((stride) => stride === 1) &&
    outputSize.every((count, axis) => axis === 0 || count === inputSize[axis])
  )
}

/**
 * What a tap reads of `x` `[batch, channels, ...inputSize]`, with zeros for padding: `[batch, channels, positions]`.
 * `windows` are {@link areInLine}.
 */
export function readInLine(f: Formulas, x: Value, windows: Windows): (tap: readonly number[]) => Value {
  const { kernel, inputSize, outputSize } = windows
  const [elements, positions] = [sizeOf(inputSize), sizeOf(outputSize)]
  const shifts = tapsOf(kernel).map((tap) => shiftOf(tap, windows))
  const before = Math.max(0, ...shifts.map((shift) => -shift))
  const after = Math.max(0, ...shifts.map((shift) => shift + positions - elements))
  const line = f.pad(f.reshape(x, [...x.shape.slice(0, 2), elements]), [0, 0, before], [0, 0, after])
  const copies = new Map<string, Value>()
  return (tap) => {
    const copy = `${tap.slice(1)}`
    if (!copies.has(copy)) copies.set(copy, withoutNeighbours(f, line, before, tap, windows))
    return f.slice(copies.get(copy)!, [{ axis: 2, start: before + shiftOf(tap, windows), count: positions }])
  }
}

/** How far along each axis `tap` reads from its position. */
function offsetsOf(tap: readonly number[], { dilations, begin }: Windows): number[] {
  return tap.map((index, axis) => index * dilations[axis]! - begin[axis]!)
}

/** The same in the line. */
function shiftOf(tap: readonly number[], windows: Windows): number {
  const offsets = offsetsOf(tap, windows)
  return offsets.reduce((shift, offset, axis) => shift * windows.inputSize[axis]! + offset, 0)
}

/** `line`, whose image begins at `before`, with zeros for what `tap` reaches only from another row. */
function withoutNeighbours(
  f: Formulas,
  line: Value,
  before: number,
  tap: readonly number[],
  windows: Windows,
): Value {
  const offsets = offsetsOf(tap, windows)
  if (offsets.every((offset, axis) => axis === 0 || offset === 0)) return line
  const isRead = windows.inputSize.map((size, axis) =>
    Array.from({ length: size }, (_, element) => {
      const position = element - offsets[axis]!
      return axis === 0 || (position >= 0 && position < size)
    }),
  )
  const mask = new Float32Array(line.shape[2]!)
  mask.set(
    isRead.reduce<number[]>((rows, along) => rows.flatMap((row) => along.map((is) => row * Number(is))), [1]),
    before,
  )
  return f.mul(line, f.tensor(mask, [mask.length]))
}
