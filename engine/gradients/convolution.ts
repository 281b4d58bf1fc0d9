/**
 * Gradients of convolutions (Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", 2016, section 4).
 *
 * Input: the transposed convolution of dY. Weight: all taps side by side (im2col), times dY as one matrix product per image,
 * summed over the batch. That form beats a convolution of transposed tensors by 1.5x to 10x on CPUs, and WebGPU computes it
 * right in every channel count.
 */

import type { Formulas } from '../onnx/formulas.ts'
import { int, intOf, ints } from '../onnx/graph.ts'
import type { Value } from '../onnx/graph-builder.ts'
import { sizeOf } from '../onnx/types.ts'
import { type Application, gradient } from './rule.ts'
import { padForWindows, readTap, spread, tapsOf, type Windows, windowsOf } from './windows.ts'

export const convolution = {
  /** Y = conv(X, W) + b: dX = convᵀ(dY, W) ; dW = Σ_n dY·col(X)ᵀ ; db = Σ dY over all but channels */
  Conv: gradient(
    (application) =>
      spread(
        application.f,
        application.dy,
        application.x[1]!,
        convWindows(application),
        groupOf(application),
      ),
    (application) => {
      const { f, x, dy } = application
      return weightGradient(f, x[0]!, dy, x[1]!.shape, convWindows(application), groupOf(application))
    },
    biasGradient,
  ),
  /** Y = convᵀ(X, W) + b: dX = conv(dY, W) ; dW as Conv's with X and dY in each other's place */
  ConvTranspose: gradient(
    (application) => {
      const { f, x, dy } = application
      const windows = transposedWindows(application)
      const attributes = {
        kernel_shape: ints(windows.kernel),
        strides: ints(windows.strides),
        dilations: ints(windows.dilations),
        group: int(groupOf(application)),
      }
      return f.builder.emit('Conv', [padForWindows(f, dy, windows, 0), x[1]!], attributes, x[0]!)
    },
    (application) => {
      const { f, x, dy } = application
      return weightGradient(f, dy, x[0]!, x[1]!.shape, transposedWindows(application), groupOf(application))
    },
    biasGradient,
  ),
} as const

function groupOf({ attributes }: Application): number {
  return intOf(attributes, 'group', 1)
}

function convWindows({ attributes, x, y }: Application): Windows {
  return windowsOf(attributes, x[1]!.shape.slice(2), x[0]!, y[0]!)
}

/** A transposed convolution is the transpose of one that goes from its output to its input. */
function transposedWindows({ attributes, x, y }: Application): Windows {
  return windowsOf(attributes, x[1]!.shape.slice(2), y[0]!, x[0]!)
}

/**
 * dW of a convolution from `x` `[N, C, ...]` to positions whose gradient is `dy` `[N, O, ...]`; `shape` is W's, `[O, C/g, ...kernel]`.
 * Columns are ordered tap by tap, so that joining them copies whole images; W's order comes back in one small transpose.
 */
function weightGradient(
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

function biasGradient({ f, dy }: Application): Value {
  return f.reduceSum(dy, [0, ...dy.shape.slice(2).map((_, axis) => axis + 2)])
}
