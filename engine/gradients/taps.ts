/**
 * Operators that read or write through sliding windows and are spelled out as convolutions with constant weights: each
 * image and channel is an image of its own, and the weight says which tap goes where.
 */

import { padForWindows, type Windows, windowsOf } from '../convolution/windows.ts'
import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { ints, intsOf } from '../onnx/graph.ts'
import { sizeOf, type TensorType } from '../onnx/types.ts'
import { lpNorm } from './norms.ts'
import { fixedNumbers, type Rule, type Use } from './rule.ts'
import { spreadBack } from './volumes.ts'

export const taps = {
  /** y = (Σ |x|^p)^(1/p) over each window: a convolution of |x|^p with ones */
  LpPool: spelledWithType((use, type) => {
    const kernel = intsOf(use.attributes, 'kernel_shape')!
    const windows = windowsOf(use.attributes, kernel, use.x[0]!, type)
    return lpNorm(use, (powers) => windowSums(use.f, powers, windows, type.shape))
  }),
  /** Columns added up to an image (torch.nn.Fold): the transpose of reading every tap */
  Col2Im: spelledWithType(
    (use, type) => {
      const { f, x, attributes } = use
      const size = fixedNumbers(use, 1, 'sizes')
      const kernel = fixedNumbers(use, 2, 'blocks')
      const image: TensorType = { dtype: x[0]!.dtype, shape: [1, 1, ...size] }
      const windows = windowsOf(attributes, kernel, image, {
        ...image,
        shape: [1, 1, ...positions(use, size, kernel)],
      })
      const count = sizeOf(kernel)
      const images = x[0]!.shape[0]! * (x[0]!.shape[1]! / count)
      const identity = new Float32Array(count * count)
      for (let tap = 0; tap < count; tap++) identity[tap * (count + 1)] = 1
      const values = f.reshape(x[0]!, [images, count, ...windows.outputSize])
      return f.reshape(
        spreadBack(f, values, f.tensor(identity, [count, 1, ...kernel]), windows, 1),
        type.shape,
      )
    },
    [1, 2],
  ),
} as const

/** A spelled operator with one output whose type the spelling needs. */
function spelledWithType(
  spelling: (use: Use, type: TensorType) => Value,
  still: readonly number[] = [],
): Rule {
  return { kind: 'spelled', spelling: (use, [type]) => [spelling(use, type!)], still }
}

function windowSums(f: Formulas, x: Value, windows: Windows, shape: readonly number[]): Value {
  const { kernel, strides, dilations } = windows
  const padded = padForWindows(f, x, windows, 0)
  const images = f.reshape(padded, [x.shape[0]! * x.shape[1]!, 1, ...padded.shape.slice(2)])
  const ones = f.tensor(new Float32Array(sizeOf(kernel)).fill(1), [1, 1, ...kernel])
  const attributes = { kernel_shape: ints(kernel), strides: ints(strides), dilations: ints(dilations) }
  const result = { dtype: x.dtype, shape: [images.shape[0]!, 1, ...windows.outputSize] }
  return f.reshape(f.builder.emit('Conv', [images, ones], attributes, result), shape)
}

/** How many positions a window of size `kernel` has in an image of size `size` (ONNX, Col2Im). */
function positions({ attributes }: Use, size: readonly number[], kernel: readonly number[]): number[] {
  const strides = intsOf(attributes, 'strides') ?? kernel.map(() => 1)
  const dilations = intsOf(attributes, 'dilations') ?? kernel.map(() => 1)
  const pads = intsOf(attributes, 'pads') ?? [...kernel, ...kernel].map(() => 0)
  return size.map((length, axis) => {
    const padded = length + pads[axis]! + pads[axis + size.length]!
    return Math.floor((padded - dilations[axis]! * (kernel[axis]! - 1) - 1) / strides[axis]!) + 1
  })
}
