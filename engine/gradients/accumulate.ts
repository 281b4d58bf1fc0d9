/**
 * Adds the gradients that meet at one value.
 *
 * A value that is only cut into pieces (queries, keys and values out of one projection) gets a gradient from each
 * piece, zeros around it. Pieces that lie side by side and fill the value are joined instead of added: no zeros are
 * written and nothing is summed, one pass for each element where the sum of n pieces takes 2n - 1.
 */
import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { numbersOf } from '../onnx/types.ts'

/** The sum of `gradients`, at least one and all of one shape, in their order. */
export function accumulate(f: Formulas, gradients: readonly Value[]): Value {
  const pieces = gradients.map((gradient) => pieceOf(f, gradient))
  return joined(f, pieces) ?? gradients.reduce((sum, gradient) => f.add(sum, gradient))
}

/** What `inner` became by padding with zeros along one axis. */
interface Piece {
  readonly inner: Value
  readonly axis: number
  readonly start: number
  /** Of the axis after padding. */
  readonly size: number
}

function pieceOf(f: Formulas, value: Value): Piece | null {
  const maker = f.builder.makerOf(value)
  if (maker?.opType !== 'Pad') return null
  const [inner, pads, filling] = maker.inputs as [Value, Value, Value]
  const counts = f.constantOf(pads)
  if (counts === null || f.constantOf(filling)?.data[0] !== 0) return null
  const rank = inner.shape.length
  const padded = inner.shape.flatMap((size, axis) => (size === value.shape[axis] ? [] : [axis]))
  const [axis] = padded
  if (padded.length !== 1 || axis === undefined) return null
  const [before, after] = [numbersOf(counts)[axis]!, numbersOf(counts)[axis + rank]!]
  return before < 0 || after < 0 ? null : { inner, axis, start: before, size: value.shape[axis]! }
}

/** The pieces as one value when each begins where another ends and together they fill the axis, else null. */
function joined(f: Formulas, pieces: readonly (Piece | null)[]): Value | null {
  const real = pieces.filter((piece) => piece !== null)
  const [first] = real
  if (first === undefined || real.length < pieces.length) return null
  const { axis, size } = first
  const ordered = real.toSorted((a, b) => a.start - b.start)
  let end = 0
  for (const piece of ordered) {
    if (piece.axis !== axis || piece.start !== end) return null
    end += piece.inner.shape[axis]!
  }
  return end === size
    ? f.concat(
        ordered.map(({ inner }) => inner),
        axis,
      )
    : null
}
