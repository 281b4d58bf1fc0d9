/**
 * Convolutions over three axes where onnxruntime's WebGPU has no kernel for them (1.30): with groups, and transposed.
 *
 * A grouped one is a matrix product of its weight and what its taps read, side by side. A transposed one is the
 * convolution with turned weights of its input with zeros between the elements (Dumoulin & Visin, "A guide to
 * convolution arithmetic for deep learning", 2016, section 4): as many products with zeros as strides say, which is
 * what such kernels do that are there.
 */

import { padForWindows, readTap, spread, tapsOf, type Windows } from '../convolution/windows.ts'
import { withZeros } from '../convolution/with-zeros.ts'
import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { int, ints } from '../onnx/graph.ts'
import { sizeOf } from '../onnx/types.ts'

/** Whether the device has no kernel for a convolution with these windows. */
export function lacksKernel(
  f: Formulas,
  { kernel }: Windows,
  { group, isTransposed }: { group: number; isTransposed: boolean },
): boolean {
  return f.builder.target.device === 'gpu' && kernel.length === 3 && (isTransposed || group > 1)
}

/** What `spread` gives, in the form that the device has. */
export function spreadBack(
  f: Formulas,
  values: Value,
  weight: Value,
  windows: Windows,
  group: number,
): Value {
  return lacksKernel(f, windows, { group, isTransposed: true })
    ? transposedVolume(f, values, weight, windows, group)
    : spread(f, values, weight, windows, group)
}

/** `x` `[N, C, ...inputSize]` with `weight` `[O, C/group, ...kernel]`: `[N, O, ...outputSize]`. */
export function groupedVolume(f: Formulas, x: Value, weight: Value, windows: Windows, group: number): Value {
  const [outputs, channels] = weight.shape as [number, number]
  const [batch, taps] = [x.shape[0]!, tapsOf(windows.kernel)]
  const positions = sizeOf(windows.outputSize)
  const padded = padForWindows(f, x, windows, 0)
  const columns = taps.map((tap) =>
    f.reshape(readTap(f, padded, tap, windows), [batch, group, channels, positions]),
  )
  const byTap = f.transpose(f.reshape(weight, [group, outputs / group, channels, taps.length]), [0, 1, 3, 2])
  const rows = f.reshape(byTap, [1, group, outputs / group, taps.length * channels])
  const product = f.matmul(rows, f.concat(columns, 2))
  return f.reshape(product, [batch, outputs, ...windows.outputSize])
}

/**
 * The transpose of a convolution with `windows`: `values` `[N, C, ...outputSize]` spread back through `weight`
 * `[C, O/group, ...kernel]` to `[N, O, ...inputSize]`.
 */
export function transposedVolume(
  f: Formulas,
  values: Value,
  weight: Value,
  windows: Windows,
  group: number,
): Value {
  const { kernel, dilations, begin, inputSize } = windows
  const apart = windows.strides.reduce((x, stride, axis) => withZeros(f, x, axis + 2, stride), values)
  const before = begin.map((count, axis) => dilations[axis]! * (kernel[axis]! - 1) - count)
  // padding that reaches over the kernel leaves the first elements unread
  const read = f.slice(
    apart,
    before.map((count, axis) => {
      const start = Math.max(0, -count)
      return { axis: axis + 2, start, count: apart.shape[axis + 2]! - start }
    }),
  )
  const turned = turnedWeight(f, weight, kernel, group)
  const size = read.shape.slice(2)
  const start = before.map((count) => Math.max(0, count))
  const inner: Windows = {
    kernel,
    dilations,
    strides: kernel.map(() => 1),
    begin: start,
    end: inputSize.map(
      (count, axis) => count + dilations[axis]! * (kernel[axis]! - 1) - size[axis]! - start[axis]!,
    ),
    inputSize: size,
    outputSize: inputSize,
  }
  if (group > 1) return groupedVolume(f, read, turned, inner, group)
  const attributes = { kernel_shape: ints(kernel), dilations: ints(dilations) }
  const type = { dtype: values.dtype, shape: [values.shape[0]!, turned.shape[0]!, ...inputSize] }
  return f.builder.emit('Conv', [padForWindows(f, read, inner, 0), turned], attributes, type)
}

/**
 * `[C, O/group, ...kernel]` as `[O, C/group, ...kernel]`: the taps reversed, and the channels exchanged within each
 * group.
 */
export function turnedWeight(f: Formulas, weight: Value, kernel: readonly number[], group: number): Value {
  const [outputs, channels] = weight.shape as [number, number]
  const taps = sizeOf(kernel)
  const exchanged = f.transpose(f.reshape(weight, [group, outputs / group, channels, taps]), [0, 2, 1, 3])
  const reversed = Int32Array.from({ length: taps }, (_, tap) => taps - 1 - tap)
  const order = f.builder.constant({ dtype: 'int32', shape: [taps], data: reversed })
  const turned = f.builder.emit('Gather', [exchanged, order], { axis: int(3) }, exchanged)
  return f.reshape(turned, [channels * group, outputs / group, ...kernel])
}
