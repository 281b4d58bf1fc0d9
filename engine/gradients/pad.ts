/**
 * The gradient of Pad. What was put around goes away again: zeros take nothing of the gradient with them; an element
 * that was repeated (mirrored, at the edge, around the other end) has the sum of the gradients of all of its copies.
 */
import { positiveAxis } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { selectRows } from './known-rows.ts'
import { type Application, fixedNumbers, gradient, unsupportedUse } from './rule.ts'

export const pad = {
  /** dx = the middle of dy; dx_i = Σ dy_j over j that shows x_i, in modes that repeat */
  Pad: gradient((application) => {
    const { attributes } = application
    const mode = attributes.mode?.kind === 'string' ? attributes.mode.value : 'constant'
    if (mode === 'constant') return middle(application)
    const source = sources[mode]
    if (source === undefined)
      throw unsupportedUse(application, `its mode '${mode}' is not known`, 'Pad by constants.')
    return foldedBack(application, source)
  }),
} as const

/** By mode, the place in an axis of `size` elements that is shown at `place`, which may lie outside (ONNX, Pad-19). */
const sources: Readonly<Record<string, (place: number, size: number) => number>> = {
  edge: (place, size) => Math.min(Math.max(place, 0), size - 1),
  reflect: (place, size) => {
    const period = Math.max(1, 2 * (size - 1))
    const turned = modulo(place, period)
    return Math.min(turned, period - turned)
  },
  wrap: (place, size) => modulo(place, size),
}

function modulo(value: number, divisor: number): number {
  return ((value % divisor) + divisor) % divisor
}

function middle(application: Application): Value {
  const { f, dy, x } = application
  const rank = x[0]!.shape.length
  const pads = padsOf(application, rank)
  const positive = (count: number) => Math.max(0, count)
  const kept = f.slice(
    dy,
    dy.shape.map((size, axis) => {
      const start = positive(pads[axis]!)
      return { axis, start, count: size - start - positive(pads[axis + rank]!) }
    }),
  )
  const cropped = pads.map((count) => positive(-count))
  return f.pad(kept, cropped.slice(0, rank), cropped.slice(rank))
}

function foldedBack(application: Application, source: (place: number, size: number) => number): Value {
  const { f, dy, x } = application
  const { shape } = x[0]!
  const pads = padsOf(application, shape.length)
  if (pads.some((count) => count < 0))
    throw unsupportedUse(application, 'it repeats elements and cuts others', 'Cut with a slice first.')
  return shape.reduce((folded, size, axis) => {
    const count = dy.shape[axis]!
    if (count === size) return folded
    const rows = Array.from({ length: count }, (_, place) => source(place - pads[axis]!, size))
    return selectRows(f, folded, axis, rows, size)
  }, dy)
}

/** The pads of every axis, before then after, also when only some axes are listed (operator set 18). */
function padsOf(application: Application, rank: number): number[] {
  const listed = fixedNumbers(application, 1, 'pads')
  const everyAxis = Array.from({ length: rank }, (_, axis) => axis)
  const axes = fixedNumbers(application, 3, 'axes', everyAxis)
  const pads = new Array<number>(2 * rank).fill(0)
  for (const [index, axis] of axes.entries()) {
    pads[positiveAxis(axis, rank)] = listed[index]!
    pads[positiveAxis(axis, rank) + rank] = listed[index + axes.length]!
  }
  return pads
}
