/**
 * Gradients of convolutions (Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", 2016, section 4).
 *
 * Input: the transposed convolution of dY; on CPUs with groups, at stride 1, the convolution with turned weights that
 * it equals, which takes 0.5 (depthwise) to 0.9 of its time; without groups in the blocks of blocked-spread.ts. Weight:
 * weight-gradient.ts.
 */

import { partsOf } from '../convolution/interleaved.ts'
import { padForWindows, type Windows, windowsOf } from '../convolution/windows.ts'
import { allAxes, type Formulas, perChannel } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { int, intOf, ints } from '../onnx/graph.ts'
import { sizeOf, type TensorType } from '../onnx/types.ts'
import { blockedSpread } from './blocked-spread.ts'
import { type Application, gradient, spelledOnGpu, type Use } from './rule.ts'
import { groupedVolume, lacksKernel, spreadBack, transposedVolume, turnedWeight } from './volumes.ts'
import { weightFromParts } from './weight-from-parts.ts'
import { weightGradient } from './weight-gradient.ts'

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
        return (
          weightFromParts(f, x[0]!, dy, x[1]!.shape, windows) ??
          weightGradient(f, x[0]!, dy, x[1]!.shape, windows, groupOf(application))
        )
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
 * convᵀ(`dy`, `weight`) as conv of dY and the weight with its taps reversed and its channels exchanged, with groups;
 * null where it is not the same or not faster.
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

/** Σ dY over all but channels; of an image of parts in blocks over each part as it lies. */
function biasGradient({ f, dy }: Application): Value {
  const [, outputs, ...positions] = dy.shape as [number, number, ...number[]]
  const parts = partsOf(f, dy)?.parts
  if (parts === undefined) {
    const sum = f.reshape(sumOfBatch(f, dy), [outputs, ...positions])
    return f.reduceSum(sum, allAxes(sum).slice(1))
  }
  const block = f.builder.target.channelBlock!
  const sums = parts.map((part) => sumOfBatch(f, part)).reduce((total, sum) => f.add(total, sum))
  const byPoint = f.reshape(sums, [outputs / block, sizeOf(sums.shape) / outputs, block])
  return f.reshape(f.reduceSum(byPoint, [1]), [outputs])
}

/**
 * `[1, elements of one]`, as a product with ones: a reduction over batch and positions at once takes 2 to 4 times as
 * long as this and a reduction of what is left.
 */
function sumOfBatch(f: Formulas, dy: Value): Value {
  const [batch, ...rest] = dy.shape as [number, ...number[]]
  const ones = f.tensor(new Float32Array(batch).fill(1), [1, batch])
  return f.gemm(ones, f.reshape(dy, [batch, sizeOf(rest)]))
}
