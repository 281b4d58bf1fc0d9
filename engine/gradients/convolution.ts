/**
 * Gradients of convolutions (Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", 2016, section 4).
 *
 * Input: the transposed convolution of dY; on CPUs with groups, at stride 1, the convolution with turned weights that it equals, which
 * takes 0.5 (depthwise) to 0.9 of its time; without groups in the blocks of blocked-spread.ts.
 * Weight: what each tap read, times dY. Two forms of that product, measured with onnxruntime 1.30, both 1.5x to 10x faster than a
 * convolution of transposed tensors:
 *   by tap     channels first, one product over all images for each tap. Fastest on CPUs once the products are large
 *              enough: 0.47 to 0.8 of the other's time with 32 to 512 channels (native), 0.91 to 1.0 (wasm)
 *   by image   all taps side by side (im2col), one product for each image, summed over the batch. For groups, for few
 *              channels (7 times faster with one), and for GPUs, which a long product of few rows leaves idle
 */

import { allAxes, type Formulas, perChannel } from '../onnx/formulas.ts'
import { int, intOf, ints } from '../onnx/graph.ts'
import type { Value } from '../onnx/graph-builder.ts'
import { sizeOf, type TensorType } from '../onnx/types.ts'
import { blockedSpread } from './blocked-spread.ts'
import { type Application, gradient, spelledOnGpu, type Use } from './rule.ts'
import { groupedVolume, lacksKernel, spreadBack, transposedVolume, turnedWeight } from './volumes.ts'
import {
  type Inside,
  insideOf,
  padForWindows,
  positionsInside,
  readInside,
  readTap,
  tapsOf,
  type Windows,
  windowsOf,
} from './windows.ts'

export const convolution = {
  /** Y = conv(X, W) + b: dX = convᵀ(dY, W) ; dW = Σ_n dY·col(X)ᵀ ; db = Σ dY over all but channels */
  Conv: spelledOnGpu(
    gradient(
      (application) => {
        const { f, x, dy } = application
        const [windows, group] = [convWindows(application, application.y[0]!), groupOf(application)]
        return (
          blockedSpread(f, dy, x[1]!, windows, group) ??
          byTurnedWeight(f, dy, x[1]!, windows, group) ??
          spreadBack(f, dy, x[1]!, windows, group)
        )
      },
      (application) => {
        const { f, x, dy, y } = application
        const windows = convWindows(application, y[0]!)
        return weightGradient(f, x[0]!, dy, x[1]!.shape, windows, groupOf(application))
      },
      biasGradient,
    ),
    (use, type) => {
      const { f, x } = use
      const [windows, group] = [convWindows(use, type), groupOf(use)]
      if (!lacksKernel(f, windows, { group, isTransposed: false })) return null
      return withBias(use, groupedVolume(f, x[0]!, x[1]!, windows, group))
    },
  ),
  /** Y = convᵀ(X, W) + b: dX = conv(dY, W) ; dW as Conv's with X and dY in each other's place */
  ConvTranspose: spelledOnGpu(
    gradient(
      (application) => {
        const { f, x, dy, y } = application
        const [windows, group] = [transposedWindows(application, y[0]!), groupOf(application)]
        if (lacksKernel(f, windows, { group, isTransposed: false }))
          return groupedVolume(f, dy, x[1]!, windows, group)
        const attributes = {
          kernel_shape: ints(windows.kernel),
          strides: ints(windows.strides),
          dilations: ints(windows.dilations),
          group: int(group),
        }
        return f.builder.emit('Conv', [padForWindows(f, dy, windows, 0), x[1]!], attributes, x[0]!)
      },
      (application) => {
        const { f, x, dy, y } = application
        const windows = transposedWindows(application, y[0]!)
        return weightGradient(f, dy, x[0]!, x[1]!.shape, windows, groupOf(application))
      },
      biasGradient,
    ),
    (use, type) => {
      const { f, x } = use
      const [windows, group] = [transposedWindows(use, type), groupOf(use)]
      if (!lacksKernel(f, windows, { group, isTransposed: true })) return null
      return withBias(use, transposedVolume(f, x[0]!, x[1]!, windows, group))
    },
  ),
} as const

function groupOf({ attributes }: Use): number {
  return intOf(attributes, 'group', 1)
}

function convWindows({ attributes, x }: Use, output: TensorType): Windows {
  return windowsOf(attributes, x[1]!.shape.slice(2), x[0]!, output)
}

/** A transposed convolution is the transpose of one that goes from its output to its input. */
function transposedWindows({ attributes, x }: Use, output: TensorType): Windows {
  return windowsOf(attributes, x[1]!.shape.slice(2), output, x[0]!)
}

function withBias({ f, x, has }: Use, product: Value): Value {
  return has(2) ? f.add(product, perChannel(f, x[2]!, product)) : product
}

/** Whether the windows go step by step over all of the input, and none lies in the padding alone. */
function isEven({ strides, kernel, dilations, begin, end }: Windows): boolean {
  return kernel.every((size, axis) => {
    const reach = dilations[axis]! * (size - 1)
    return strides[axis] === 1 && begin[axis]! <= reach && end[axis]! >= 0 && end[axis]! <= reach
  })
}

/**
 * convᵀ(`dy`, `weight`) as conv of dY and the weight with its taps reversed and its channels exchanged, with groups; null where it is
 * not the same or not faster.
 */
function byTurnedWeight(
  f: Formulas,
  dy: Value,
  weight: Value,
  windows: Windows,
  group: number,
): Value | null {
  if (f.builder.target.device !== 'cpu' || group === 1 || !isEven(windows)) return null
  const { kernel, dilations, begin, end, inputSize } = windows
  const channels = weight.shape[1]!
  const around = [begin, end].flatMap((pads) =>
    pads.map((count, axis) => dilations[axis]! * (kernel[axis]! - 1) - count),
  )
  const attributes = {
    kernel_shape: ints(kernel),
    dilations: ints(dilations),
    pads: ints(around),
    group: int(group),
  }
  const type = { dtype: dy.dtype, shape: [dy.shape[0]!, channels * group, ...inputSize] }
  return f.builder.emit('Conv', [dy, turnedWeight(f, weight, kernel, group)], attributes, type)
}

/** Input channels from which a product for each tap is taken: with 8 a gradient takes 1.2 times as long by it, with 16 about 0.9 times. */
const channelsByTap = 16

/** dW of a convolution from `x` `[N, C, ...]` to positions whose gradient is `dy` `[N, O, ...]`; `shape` is W's, `[O, C/g, ...kernel]`. */
function weightGradient(
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
 * Share of a window's reads that lie inside the image from which padding is multiplied too: on images of 8×8 (0.84) the gradient takes 0.9
 * times as long without, on 4×4 (0.69) 0.8 times; on 16×16 (0.92), where one side has to be cut for it, 1.05 times.
 */
const insideShareMin = 0.88

/** dW_t = dY·X_tᵀ for tap t, with dY and X_t as matrices `[channels, N·positions]`. */
function weightByTap(f: Formulas, x: Value, dy: Value, shape: readonly number[], windows: Windows): Value {
  const [outputs, channels] = shape as [number, number]
  const [images, rows] = [channelsFirst(f, x), channelsFirst(f, dy)]
  const padded = padForWindows(f, images, windows, 0)
  const taps = tapsOf(windows.kernel)
  const insides = taps.map((tap) => insideOf(tap, windows))
  const isPaddingRead = meanShare(insides, windows) >= insideShareMin
  const products = taps.map((tap, index) => {
    const inside = insides[index]!
    const isCut = !isPaddingRead || shareOf(inside, windows) === 1
    const a = isCut ? positionsInside(f, rows, inside) : rows
    const b = isCut ? readInside(f, images, inside, windows) : readTap(f, padded, tap, windows)
    return f.reshape(productOverPositions(f, a, b), [outputs, 1, channels])
  })
  return f.reshape(f.transpose(f.concat(products, 1), [0, 2, 1]), shape)
}

/** Share of the window positions at which a tap reads inside the input. */
function shareOf(inside: readonly Inside[], { outputSize }: Windows): number {
  return inside.reduce((share, { count }, axis) => (share * count) / outputSize[axis]!, 1)
}

function meanShare(insides: readonly (readonly Inside[])[], windows: Windows): number {
  return insides.reduce((sum, inside) => sum + shareOf(inside, windows), 0) / insides.length
}

/** A·Bᵀ of `a` `[outputs, ...positions]` and `b` `[channels, ...positions]`; zeros of a tap that reads nothing but padding. */
function productOverPositions(f: Formulas, a: Value, b: Value): Value {
  const [outputs, channels] = [a.shape[0]!, b.shape[0]!]
  const count = sizeOf(a.shape) / outputs
  if (count === 0) return f.full([outputs, channels])
  return f.gemm(f.reshape(a, [outputs, count]), f.reshape(b, [channels, count]), { transB: true })
}

function channelsFirst(f: Formulas, x: Value): Value {
  return f.transpose(x, [1, 0, ...allAxes(x).slice(2)])
}

/** Columns are ordered tap by tap, so that joining them copies whole images; W's order comes back in one small transpose. */
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

/** Over the batch first, as a product with ones: a reduction over both takes 2 to 4 times as long. What is left is small. */
function biasGradient({ f, dy }: Application): Value {
  const [batch, ...rest] = dy.shape as [number, ...number[]]
  const ones = f.tensor(new Float32Array(batch).fill(1), [1, batch])
  const sum = f.reshape(f.gemm(ones, f.reshape(dy, [batch, sizeOf(rest)])), rest)
  return f.reduceSum(sum, allAxes(sum).slice(1))
}
