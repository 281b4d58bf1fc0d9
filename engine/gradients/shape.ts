/**
 * Gradients of operators that move elements and compute nothing. Each is the same movement backwards; where an element
 * was repeated its gradients add up, where one was left out its gradient is zero.
 */

import { allAxes, positiveAxis } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { int, intOf, intsOf } from '../onnx/graph.ts'
import { numbersOf } from '../onnx/types.ts'
import { selectRows } from './known-rows.ts'
import {
  type Application,
  fixedNumbers,
  gradient,
  spelled,
  spelledForward,
  type Use,
  variadic,
} from './rule.ts'

/** dx = dy in x's shape */
const reshaped = gradient(({ f, dy, x }) => f.reshape(dy, x[0]!.shape))

export const shape = {
  Reshape: reshaped,
  Flatten: reshaped,
  Squeeze: reshaped,
  Unsqueeze: reshaped,
  /** dx = dy with the axes put back */
  Transpose: gradient(({ f, dy, x, attributes }) => {
    const permutation = intsOf(attributes, 'perm') ?? allAxes(x[0]!).reverse()
    return f.transpose(
      dy,
      permutation.map((_, axis) => permutation.indexOf(axis)),
    )
  }),
  /** dx = s(dy) */
  Expand: gradient(({ f, dy, x }) => f.sumTo(dy, x[0]!.shape)),
  /** dx: the repeats of each axis become an axis of their own, which is summed */
  Tile: gradient((application) => {
    const { f, dy, x } = application
    const repeats = constantNumbers(application, 1)
    const parted = x[0]!.shape.flatMap((size, axis) => [repeats[axis]!, size])
    const axes = repeats.map((_, axis) => 2 * axis)
    return f.reduceSum(f.reshape(dy, parted), axes)
  }),
  /** dx_i = the part of dy where x_i went */
  Concat: variadic(({ f, dy, x, attributes }, index) => {
    const axis = positiveAxis(intOf(attributes, 'axis', 0), dy.shape.length)
    const start = x.slice(0, index).reduce((sum, { shape }) => sum + shape[axis]!, 0)
    return f.slice(dy, [{ axis, start, count: x[index]!.shape[axis]! }])
  }),
  /** dx = the parts' gradients side by side, zeros for a part that nothing read */
  Split: gradient(({ f, dys, x, y, attributes }) => {
    const axis = positiveAxis(intOf(attributes, 'axis', 0), x[0]!.shape.length)
    return f.concat(
      dys.map((dy, index) => dy ?? f.full(y[index]!.shape)),
      axis,
    )
  }),
  /** dx = dy with zeros where nothing was read. Backwards rows are picked: WebGPU's Slice reads the wrong ones. */
  Slice: spelledForward(
    gradient((application) => {
      const { f, x, y } = application
      return cutsOf(application).reduce((dy, { axis, start, step }) => {
        const size = x[0]!.shape[axis]!
        const count = y[0]!.shape[axis]!
        if (count === size && step === 1) return dy
        const rows = Array.from({ length: count }, (_, position) => start + position * step)
        return step === 1 ? padAxis(application, dy, axis, start, size) : selectRows(f, dy, axis, rows, size)
      }, application.dy)
    }),
    (use, { shape }) =>
      cutsOf(use).reduce((value, { axis, start, step }) => {
        const count = shape[axis]!
        if (step > 0) return use.f.slice(value, [{ axis, start, count, step }])
        const rows = Array.from({ length: count }, (_, position) => start + position * step)
        const type = { dtype: value.dtype, shape: value.shape.with(axis, count) }
        return use.f.builder.emit('Gather', [value, use.f.builder.integers(rows)], { axis: int(axis) }, type)
      }, use.x[0]!),
  ),
  /**
   * A cut or zeros around, so that the middle stays in the middle; what is odd goes to the end (cut) or comes there
   * (pad)
   */
  CenterCropPad: spelled(
    (use) => {
      const { f, x, attributes } = use
      const rank = x[0]!.shape.length
      const axes = (intsOf(attributes, 'axes') ?? allAxes(x[0]!)).map((axis) => positiveAxis(axis, rank))
      const wanted = [...x[0]!.shape]
      for (const [place, size] of fixedNumbers(use, 1, 'sizes').entries()) wanted[axes[place]!] = size
      const excess = wanted.map((size, axis) => x[0]!.shape[axis]! - size)
      const cuts = excess.map((more, axis) => ({
        axis,
        start: Math.floor(Math.max(0, more) / 2),
        count: Math.min(wanted[axis]!, x[0]!.shape[axis]!),
      }))
      const lacking = excess.map((more) => Math.max(0, -more))
      const before = lacking.map((count) => Math.floor(count / 2))
      return f.pad(
        f.slice(x[0]!, cuts),
        before,
        lacking.map((count, axis) => count - before[axis]!),
      )
    },
    [1],
  ),
  /** dx = the same triangle of dy */
  Trilu: gradient(
    ({ f, dy, x, has, attributes }) => f.builder.emit('Trilu', has(1) ? [dy, x[1]!] : [dy], attributes, dy),
    null,
  ),
  /** y takes channels apart into blocks; dx is the inverse, as a reshape and a transpose */
  DepthToSpace: gradient(({ f, dy, x, attributes }) => {
    const block = intOf(attributes, 'blocksize', 1)
    const [batch, depth, height, width] = x[0]!.shape as [number, number, number, number]
    const channels = depth / (block * block)
    const isColumnFirst = attributes.mode?.kind === 'string' && attributes.mode.value === 'CRD'
    const parted = f.reshape(dy, [batch, channels, height, block, width, block])
    return f.reshape(
      f.transpose(parted, isColumnFirst ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4]),
      x[0]!.shape,
    )
  }),
  /** The inverse of DepthToSpace in its depth-first form */
  SpaceToDepth: spelled(({ f, x, attributes }) => {
    const block = intOf(attributes, 'blocksize', 1)
    const [batch, channels, height, width] = x[0]!.shape as [number, number, number, number]
    const parted = f.reshape(x[0]!, [batch, channels, height / block, block, width / block, block])
    const shape = [batch, channels * block * block, height / block, width / block]
    return f.reshape(f.transpose(parted, [0, 3, 5, 1, 2, 4]), shape)
  }),
} as const

function constantNumbers({ f, x, has }: Use, index: number): number[] {
  const constant = has(index) ? f.constantOf(x[index]!) : null
  return constant === null ? [] : numbersOf(constant)
}

function cutsOf(application: Use): { axis: number; start: number; step: number }[] {
  const [x] = application.x
  const starts = constantNumbers(application, 1)
  const axes = application.has(3) ? constantNumbers(application, 3) : starts.map((_, axis) => axis)
  const steps = application.has(4) ? constantNumbers(application, 4) : starts.map(() => 1)
  return starts.map((start, index) => {
    const axis = positiveAxis(axes[index]!, x!.shape.length)
    const size = x!.shape[axis]!
    const step = steps[index]!
    const first = start < 0 ? start + size : start
    return { axis, step, start: Math.min(Math.max(first, 0), step > 0 ? size : size - 1) }
  })
}

function padAxis({ f }: Application, dy: Value, axis: number, start: number, size: number): Value {
  const before = dy.shape.map((_, index) => (index === axis ? start : 0))
  const after = dy.shape.map((count, index) => (index === axis ? size - start - count : 0))
  return f.pad(dy, before, after)
}
