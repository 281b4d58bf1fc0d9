/**
 * Gradients of poolings. A maximum sends its gradient to the first tap that reaches it, in row-major order, as PyTorch
 * does: ties are common (a black background under a convolution gives equal values), and counting them twice trains
 * wrong.
 */

import { intoBlocks } from '../convolution/blocked-layout.ts'
import { interleave, type Turns } from '../convolution/interleaved.ts'
import { placesBefore } from '../convolution/pooled-convolution.ts'
import {
  areTiles,
  cutToReach,
  padForWindows,
  readTap,
  repeatOverTiles,
  tapsOf,
  type Windows,
  windowsOf,
} from '../convolution/windows.ts'
import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { intOf, intsOf } from '../onnx/graph.ts'
import { sizeOf } from '../onnx/types.ts'
import { type Application, gradient } from './rule.ts'
import { spreadBack } from './volumes.ts'

/** The lowest float32: what padding holds where a maximum is taken. */
const lowest = -3.4028234663852886e38

export const pooling = {
  /** dX = dY where x is the first tap to equal Y */
  MaxPool: gradient((application) => {
    const { f, y, dy } = application
    const windows = poolWindows(application)
    const before = placesBefore(f, y[0]!)
    if (before !== null) return maxOfPlaces(f, before, dy, windows.kernel as [number, number])
    return areTiles(windows) ? maxOfTiles(application, windows) : maxOfTaps(application, windows)
  }),
  /** dX: dY/count spread evenly over each window; count leaves padding out unless told otherwise */
  AveragePool: gradient((application) => {
    const { f, x, dy } = application
    const windows = poolWindows(application)
    const counts = windowCounts(application, windows)
    const share = f.div(dy, f.tensor(counts, [1, 1, ...windows.outputSize]))
    if (areTiles(windows)) return padToInput(f, repeatOverTiles(f, share, windows), x[0]!)
    const images = f.reshape(share, [x[0]!.shape[0]! * x[0]!.shape[1]!, 1, ...windows.outputSize])
    const ones = f.tensor(new Float32Array(sizeOf(windows.kernel)).fill(1), [1, 1, ...windows.kernel])
    return f.reshape(spreadBack(f, images, ones, windows, 1), x[0]!.shape)
  }),
  /** dX = dY/count of the image's elements */
  GlobalAveragePool: gradient(({ f, x, dy }) =>
    f.expand(f.div(dy, sizeOf(x[0]!.shape.slice(2))), x[0]!.shape),
  ),
  /** dX = dY where x = y, shared by all that reach it */
  GlobalMaxPool: gradient(({ f, x, y, dy }) => {
    const mask = f.cast(f.equal(x[0]!, y[0]!), 'float32')
    const axes = x[0]!.shape.map((_, axis) => axis).slice(2)
    return f.mul(mask, f.div(dy, f.reduceSum(mask, axes, true)))
  }),
} as const

function poolWindows({ attributes, x, y }: Application): Windows {
  return windowsOf(attributes, intsOf(attributes, 'kernel_shape')!, x[0]!, y[0]!)
}

/**
 * Where each place of a tile is a value of its own (pooled-convolution.ts): from the last place to the second, a place
 * takes what is left of dY wherever it exceeds all before it, and the first takes the rest.
 */
function maxOfPlaces(f: Formulas, before: readonly Value[], dy: Value, turns: Turns): Value {
  let rest = intoBlocks(f, dy)
  const shares: Value[] = []
  for (const isBefore of before) {
    const left = f.mul(rest, isBefore)
    shares.unshift(f.sub(rest, left))
    rest = left
  }
  return interleave(f, [rest, ...shares], turns)
}

/** For each tap, dY where the tap is the first to equal Y, spread back to where the tap read. */
function maxOfTaps({ f, x, y, dy }: Application, windows: Windows): Value {
  const padded = padForWindows(f, x[0]!, windows, lowest)
  let rest = dy
  const shares = tapsOf(windows.kernel).map((tap) => {
    const reaches = f.equal(readTap(f, padded, tap, windows), y[0]!)
    const share = f.where(reaches, rest, 0)
    rest = f.where(reaches, 0, rest)
    return share
  })
  return gatherTaps(f, shares, windows, x[0]!)
}

/**
 * The same when windows are tiles, at half the time: Y and dY are repeated over their tiles and compared in place.
 * Elements that reach the maximum score by how early they come, and only the best score of a tile takes the gradient.
 */
function maxOfTiles({ f, x, y, dy, attributes }: Application, windows: Windows): Value {
  const input = cutToReach(f, x[0]!, windows)
  const size = input.shape.slice(2)
  const taps = sizeOf(windows.kernel)
  const [rows, columns] = windows.kernel as [number, number]
  const ranks = Float32Array.from({ length: sizeOf(size) }, (_, index) => {
    const row = Math.floor(index / size[1]!) % rows
    return taps - row * columns - ((index % size[1]!) % columns)
  })
  const reaches = f.cast(f.equal(input, repeatOverTiles(f, y[0]!, windows)), 'float32')
  const scores = f.mul(reaches, f.tensor(ranks, [1, 1, ...size]))
  const best = f.builder.emit('MaxPool', [scores], attributes, y[0]!)
  const isFirst = f.cast(f.equal(scores, repeatOverTiles(f, best, windows)), 'float32')
  return padToInput(f, f.mul(isFirst, repeatOverTiles(f, dy, windows)), x[0]!)
}

/** Zeros for the elements at the end that no window read. */
function padToInput(f: Formulas, gradient: Value, input: Value): Value {
  const none = input.shape.map(() => 0)
  return f.pad(
    gradient,
    none,
    input.shape.map((size, axis) => size - gradient.shape[axis]!),
  )
}

/** Adds what each tap gives to where it read: a transposed convolution whose weight holds one 1 for each tap. */
function gatherTaps(f: Formulas, shares: readonly Value[], windows: Windows, like: Value): Value {
  const images = like.shape[0]! * like.shape[1]!
  const taps = shares.length
  const joined = f.concat(
    shares.map((share) => f.reshape(share, [images, 1, ...windows.outputSize])),
    1,
  )
  const weight = new Float32Array(taps * taps)
  for (let tap = 0; tap < taps; tap++) weight[tap * taps + tap] = 1
  return f.reshape(
    spreadBack(f, joined, f.tensor(weight, [taps, 1, ...windows.kernel]), windows, 1),
    like.shape,
  )
}

/**
 * How many elements each window averages: those inside the input, and with `count_include_pad` those of the padding.
 */
function windowCounts({ attributes }: Application, windows: Windows): Float32Array {
  const { kernel, strides, dilations, begin, inputSize, outputSize } = windows
  const isPadCounted = intOf(attributes, 'count_include_pad', 0) === 1
  const declaredEnd = (intsOf(attributes, 'pads') ?? []).slice(kernel.length)
  const perAxis = outputSize.map((positions, axis) =>
    Array.from({ length: positions }, (_, position) => {
      const start = position * strides[axis]! - begin[axis]!
      const low = isPadCounted ? -begin[axis]! : 0
      const high = inputSize[axis]! + (isPadCounted ? (declaredEnd[axis] ?? 0) : 0)
      const taps = Array.from({ length: kernel[axis]! }, (_, tap) => start + tap * dilations[axis]!)
      return taps.filter((index) => index >= low && index < high).length
    }),
  )
  const counts = perAxis.reduce<number[]>(
    (product, axis) => product.flatMap((a) => axis.map((b) => a * b)),
    [1],
  )
  return Float32Array.from(counts)
}
