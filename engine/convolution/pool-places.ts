/**
 * The places of what a MaxPool finds, for WebGPU, whose kernel gives none (onnxruntime 1.30): of the taps of a window,
 * the first in row-major order that equals the maximum, as the kernels of CPUs have it. A place is the number of an
 * element of the whole input `[batch, channels, ...]`, int32 here.
 */
import type { Formulas } from '../graph/formulas.ts'
import type { TypedNode, Value } from '../graph/graph-builder.ts'
import { intOf, intsOf } from '../onnx/graph.ts'
import { sizeOf } from '../onnx/types.ts'
import { hasPlaces } from './pool-before-relu.ts'
import { padForWindows, readTap, tapsOf, type Windows, windowsOf } from './windows.ts'

/** The lowest float32: what padding holds where a maximum is taken. */
const lowest = -3.4028234663852886e38

/**
 * Maximum and places of `node`, a MaxPool, as values; null where the graph is not for WebGPU, nobody reads the places,
 * or they count in column-major order.
 */
export function poolingWithPlaces(f: Formulas, node: TypedNode): [Value, Value] | null {
  const { inputs, outputs, attributes } = node
  const [x, y] = [inputs[0]!, outputs[0]]
  const isTold = hasPlaces(node) && y && intOf(attributes, 'storage_order', 0) === 0
  if (f.builder.target.device !== 'gpu' || !isTold) return null
  const maximum = f.builder.emit('MaxPool', [x], attributes, y)
  const windows = windowsOf(attributes, intsOf(attributes, 'kernel_shape')!, x, y)
  const padded = padForWindows(f, x, windows, lowest)
  const [last, ...others] = tapsOf(windows.kernel).reverse()
  const within = others.reduce(
    (places, tap) =>
      f.where(f.equal(readTap(f, padded, tap, windows), maximum), elementsRead(f, tap, windows), places),
    elementsRead(f, last!, windows),
  )
  const images = Int32Array.from({ length: sizeOf(x.shape.slice(0, 2)) }, (_, image) => image)
  const starts = images.map((image) => image * sizeOf(windows.inputSize))
  const shape = [...x.shape.slice(0, 2), ...windows.inputSize.map(() => 1)]
  return [maximum, f.add(f.builder.constant({ dtype: 'int32', shape, data: starts }), within)]
}

/** The number, in its image, of the element that `tap` reads at each window position; any number in the padding. */
function elementsRead(f: Formulas, tap: readonly number[], windows: Windows): Value {
  const { strides, dilations, begin, inputSize, outputSize } = windows
  const data = Int32Array.from({ length: sizeOf(outputSize) }, (_, position) =>
    outputSize.reduce((element, _, axis) => {
      const along = Math.floor(position / sizeOf(outputSize.slice(axis + 1))) % outputSize[axis]!
      return (
        element * inputSize[axis]! + along * strides[axis]! + tap[axis]! * dilations[axis]! - begin[axis]!
      )
    }, 0),
  )
  return f.builder.constant({ dtype: 'int32', shape: [1, 1, ...outputSize], data })
}
