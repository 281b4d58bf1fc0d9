/**
 * Convolution in onnxruntime's blocked layout (blocked-layout.ts; Georganas et al., "Anatomy of high-performance deep
 * learning convolutions", 2018).
 *
 * onnxruntime puts convolutions into that layout itself where weights are constants; in training they are not. Here the
 * weight is brought into blocks in the graph, in every step, and the images go in and out: that pays where images are
 * not much smaller than the weight (docs/decisions/0008). How wide blocks are is the processor's matter; a backend
 * without them has none.
 */

import type { Formulas } from '../graph/formulas.ts'
import type { TypedNode, Value } from '../graph/graph-builder.ts'
import { type Attributes, int, intOf, ints, intsOf, text } from '../onnx/graph.ts'
import { sizeOf, type TensorType } from '../onnx/types.ts'
import { blockedDomain, intoBlocks, outOfBlocks } from './blocked-layout.ts'

/**
 * Window positions of a whole batch from which a convolution is faster in blocks, its weight brought there in each
 * step: with 500 it takes 1.1 to 1.25 times as long as Conv, with 2,000 and more 0.75 to 0.9 times.
 */
const positionsMin = 1_000

/** The result of `convolution`, a Conv of two axes, in blocks; null where that does not pay or is not possible. */
export function blockedConvolution(f: Formulas, convolution: TypedNode): Value | null {
  const operands = blockedOperands(f, convolution)
  if (operands === null) return null
  const { attributes, outputs } = convolution
  const form = {
    strides: intsOf(attributes, 'strides') ?? [1, 1],
    dilations: intsOf(attributes, 'dilations') ?? [1, 1],
    pads: intsOf(attributes, 'pads') ?? [0, 0, 0, 0],
  }
  return outOfBlocks(f, convolveBlocks(f, operands, form, outputs[0]!))
}

/**
 * What {@link convolveBlocks} takes for the result of `convolution`; null where blocks do not pay or are not possible,
 * and where its padding is a rule instead of numbers.
 */
export function blockedOperands(
  f: Formulas,
  { inputs, attributes, outputs }: TypedNode,
): readonly [Value, Value, ...Value[]] | null {
  const [x, weight, bias] = inputs as [Value, Value, (Value | null)?]
  const { channelBlock: block } = f.builder.target
  const [group, { shape }] = [intOf(attributes, 'group', 1), outputs[0]!]
  if (block === undefined || 'auto_pad' in attributes || sizeOf(shape) / shape[1]! < positionsMin) return null
  const rest = bias ? [bias] : []
  if (canBeBlocked(weight, group, block)) return [intoBlocks(f, x), blockedWeight(f, weight, block), ...rest]
  return readsPlainImages(weight, group, block) ? [x, plainlyReadWeight(f, weight), ...rest] : null
}

/** Whether a convolution with `weight` has a form in blocks that may pay. */
export function canBeBlocked(weight: Value, group: number, block: number): boolean {
  return weight.shape[1]! % block === 0 && givesBlocks(weight, group, block)
}

/** Whether it has a form that reads plain images of few channels, as the first of a network does, and gives blocks. */
function readsPlainImages(weight: Value, group: number, block: number): boolean {
  return weight.shape[1]! < block && givesBlocks(weight, group, block)
}

function givesBlocks(weight: Value, group: number, block: number): boolean {
  const [outputs, , ...kernel] = weight.shape as [number, number, ...number[]]
  return (
    kernel.length === 2 &&
    sizeOf(kernel) > 1 && // a 1×1 convolution is a matrix product, and fast as one
    group === 1 &&
    outputs % block === 0 &&
    weight.dtype === 'float32'
  )
}

/** Conv of `inputs`, images and weight in blocks and perhaps a bias; its result, of `type`, is in blocks. */
export function convolveBlocks(
  f: Formulas,
  inputs: readonly [Value, Value, ...Value[]],
  form: Readonly<Record<'strides' | 'dilations' | 'pads', readonly number[]>>,
  type: TensorType,
): Value {
  const attributes: Attributes = {
    kernel_shape: ints(inputs[1].shape.slice(2)),
    strides: ints(form.strides),
    dilations: ints(form.dilations),
    pads: ints(form.pads),
    group: int(1),
    auto_pad: text('NOTSET'),
  }
  return f.builder.emit('Conv', inputs, attributes, type, blockedDomain)
}

/**
 * `[outputs, channels, ...kernel]` with its elements in the order [outputs/b, channels/b, ...kernel, b of channels, b
 * of outputs]. Brought into blocks as an image is, which moves single elements faster than a transposition; that is
 * left with whole blocks.
 */
function blockedWeight(f: Formulas, weight: Value, block: number): Value {
  const [outputs, channels, ...kernel] = weight.shape as [number, number, ...number[]]
  const taps = sizeOf(kernel)
  const image = intoBlocks(f, f.reshape(weight, [1, outputs, channels, taps]))
  const cut = f.reshape(image, [outputs / block, channels / block, block, taps, block])
  return f.reshape(f.transpose(cut, [0, 1, 3, 2, 4]), weight.shape)
}

/** `[outputs, channels, ...kernel]` with its elements in the order [outputs/b, channels, ...kernel, b of outputs]. */
function plainlyReadWeight(f: Formulas, weight: Value): Value {
  const [outputs, ...read] = weight.shape as [number, ...number[]]
  return f.reshape(intoBlocks(f, f.reshape(weight, [1, outputs, sizeOf(read), 1])), weight.shape)
}
