/**
 * The gradient of a convolution's weight: what each tap read, times dY. Two forms of that product, measured with
 * onnxruntime 1.30, both 1.5x to 10x faster than a convolution of transposed tensors (docs/decisions/0008):
 *   by tap     channels first, one product over all images for each tap. Fastest on CPUs once the products are large
 *              enough: 0.47 to 0.8 of the other's time with 32 to 512 channels (native), 0.91 to 1.0 (wasm)
 *   by image   all taps side by side (im2col), one product for each image, summed over the batch. For groups, for few
 *              channels (7 times faster with one), and for GPUs, which a long product of few rows leaves idle
 */

import {
  type Inside,
  insideOf,
  padForWindows,
  positionsInside,
  readInside,
  readTap,
  tapsOf,
  type Windows,
} from '../convolution/windows.ts'
import { allAxes, type Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { sizeOf } from '../onnx/types.ts'
import { areInLine, readInLine } from './taps-in-line.ts'

/**
 * Input channels from which a product for each tap is taken: with 8 a gradient takes 1.2 times as long by it, with 16
 * about 0.9 times.
 */
export const channelsByTap = 16

/**
 * dW of a convolution from `x` `[N, C, ...]` to positions whose gradient is `dy` `[N, O, ...]`; `shape` is W's,
 * `[O, C/g, ...kernel]`.
 */
export function weightGradient(
  f: Formulas,
  x: Value,
  dy: Value,
  shape: readonly number[],
  windows: Windows,
  group: number,
): Value {
  const isByTap = f.builder.target.device === 'cpu' && group === 1 && x.shape[1]! >= channelsByTap
  return isByTap ? weightByTap(f, x, dy, shape, windows) : weightByImage(f, x, dy, shape, windows, group)
}

/**
 * Share of a window's reads that lie inside the image from which padding is multiplied too: on images of 8×8 (0.84) the
 * gradient takes 0.9 times as long without, on 4×4 (0.69) 0.8 times; on 16×16 (0.92), where one side has to be cut for
 * it, 1.05 times.
 */
const insideShareMin = 0.88

/** dW_t = dY·X_tᵀ for tap t, with dY and X_t as matrices `[channels, N·positions]`. */
function weightByTap(f: Formulas, x: Value, dy: Value, shape: readonly number[], windows: Windows): Value {
  const [outputs, channels] = shape as [number, number]
  const [images, rows] = [channelsFirst(f, x), channelsFirst(f, dy)]
  const taps = tapsOf(windows.kernel)
  const insides = taps.map((tap) => insideOf(tap, windows))
  const isPaddingRead = meanShare(insides, windows) >= insideShareMin
  const read = areInLine(windows) ? readInLine(f, images, windows) : readPadded(f, images, windows)
  const products = taps.map((tap, index) => {
    const inside = insides[index]!
    const isCut = !isPaddingRead || shareOf(inside, windows) === 1
    const a = isCut ? positionsInside(f, rows, inside) : rows
    const b = isCut ? readInside(f, images, inside, windows) : read(tap)
    return f.reshape(productOverPositions(f, a, b), [outputs, 1, channels])
  })
  return f.reshape(f.transpose(f.concat(products, 1), [0, 2, 1]), shape)
}

/** What a tap reads at every window position, padding too. */
function readPadded(f: Formulas, images: Value, windows: Windows): (tap: readonly number[]) => Value {
  const padded = padForWindows(f, images, windows, 0)
  return (tap) => readTap(f, padded, tap, windows)
}

/** Share of the window positions at which a tap reads inside the input. */
function shareOf(inside: readonly Inside[], { outputSize }: Windows): number {
  return inside.reduce((share, { count }, axis) => (share * count) / outputSize[axis]!, 1)
}

function meanShare(insides: readonly (readonly Inside[])[], windows: Windows): number {
  return insides.reduce((sum, inside) => sum + shareOf(inside, windows), 0) / insides.length
}

/**
 * A·Bᵀ of `a` `[outputs, ...positions]` and `b` `[channels, ...positions]`; zeros of a tap that reads nothing but
 * padding.
 */
function productOverPositions(f: Formulas, a: Value, b: Value): Value {
  const [outputs, channels] = [a.shape[0]!, b.shape[0]!]
  const count = sizeOf(a.shape) / outputs
  if (count === 0) return f.full([outputs, channels])
  return f.gemm(f.reshape(a, [outputs, count]), f.reshape(b, [channels, count]), { transB: true })
}

function channelsFirst(f: Formulas, x: Value): Value {
  return f.transpose(x, [1, 0, ...allAxes(x).slice(2)])
}

/**
 * Columns are ordered tap by tap, so that joining them copies whole images; W's order comes back in one small
 * transpose.
 */
function weightByImage(
  f: Formulas,
  x: Value,
  dy: Value,
  shape: readonly number[],
  windows: Windows,
  group: number,
): Value {
  const [batch, channels] = [x.shape[0]!, x.shape[1]! / group]
  const outputs = dy.shape[1]! / group
  const positions = sizeOf(windows.outputSize)
  const taps = tapsOf(windows.kernel)
  const padded = padForWindows(f, x, windows, 0)
  const columns = taps.map((tap) =>
    f.reshape(readTap(f, padded, tap, windows), [batch, group, channels, positions]),
  )
  const rows = f.reshape(dy, [batch, group, outputs, positions])
  const products = f.matmul(rows, f.transposeMatrix(f.concat(columns, 2)))
  const sum = f.reshape(f.reduceSum(products, [0]), [group * outputs, taps.length, channels])
  return f.reshape(f.transpose(sum, [0, 2, 1]), shape)
}
