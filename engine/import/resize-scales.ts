/**
 * Resize by scales of which float32 makes a size that is not the exact product cut to a whole number: five elements by
 * 1.8 are nine to onnxruntime's kernels, which round the product first, and eight to its shape inference, which does
 * not. There the sizes take the place of the scales, which they give again to the last bit or two. TensorFlow's
 * exporter writes all sizes as scales.
 */
import { intsOf, type Node, textOf } from '../onnx/graph.ts'
import { type Constant, numbersOf } from '../onnx/types.ts'

/** Whether `node` resizes by `scales` of which one is no whole number, without cropping. */
export function isResizedByFractions({ opType, attributes }: Node, scales: Constant | undefined): boolean {
  if (opType !== 'Resize' || scales === undefined) return false
  const isCropped = textOf(attributes, 'coordinate_transformation_mode', '') === 'tf_crop_and_resize'
  return !isCropped && numbersOf(scales).some((scale) => !Number.isInteger(scale))
}

/**
 * The sizes, in the order of `scales`, that the kernels make of an input of `shape`; null when they are what everybody
 * makes of it.
 */
export function sizesByFloat32(
  { attributes }: Node,
  shape: readonly number[],
  scales: Constant,
): number[] | null {
  const axes = intsOf(attributes, 'axes') ?? shape.map((_, axis) => axis)
  const products = numbersOf(scales).map((scale, place) => shape.at(axes[place]!)! * scale)
  const sizes = products.map((product) => Math.floor(Math.fround(product)))
  return sizes.every((size, place) => size === Math.floor(products[place]!)) ? null : sizes
}
