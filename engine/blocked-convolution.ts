/**
 * Convolution in onnxruntime's blocked layout, in which the channels of a point lie side by side in blocks as wide as
 * the processor's vectors (its domain com.microsoft.nchwc; Georganas et al., "Anatomy of high-performance deep learning
 * convolutions", 2018).
 *
 * onnxruntime puts convolutions into that layout itself where weights are constants; in training they are not. Here the
 * weight is brought into blocks in the graph, in every step, and the images go in and out: that pays where images are
 * not much smaller than the weight (docs/decisions/0008). How wide blocks are is the processor's matter; a backend
 * without them has none.
 */
import type { Formulas } from './onnx/formulas.ts'
import { type Attributes, int, intOf, ints, intsOf, text } from './onnx/graph.ts'
import { GraphBuilder, type TypedNode, type Value } from './onnx/graph-builder.ts'
import { sizeOf, type TensorType } from './onnx/types.ts'
import { writeModel } from './onnx/write.ts'

const domain = 'com.microsoft.nchwc'

/**
 * Window positions of a whole batch from which a convolution is faster in blocks, its weight brought there in each
 * step: with 500 it takes 1.1 to 1.25 times as long as Conv, with 2,000 and more 0.75 to 0.9 times.
 */
const positionsMin = 1_000

/**
 * The result of `type` of Conv `x` `[batch, channels, height, width]` with `weight` `[outputs, channels, ...kernel]`
 * and perhaps `bias` `[outputs]`, in blocks; null where that does not pay or is not possible. `attributes`: Conv's,
 * with padding as numbers.
 */
export function blockedConvolution(
  f: Formulas,
  [x, weight, bias]: readonly [Value, Value, (Value | null)?],
  attributes: Attributes,
  type: TensorType,
): Value | null {
  const { channelBlock: block } = f.builder.target
  if (block === undefined || !canBeBlocked(weight, intOf(attributes, 'group', 1), block)) return null
  if (sizeOf(type.shape) / type.shape[1]! < positionsMin) return null
  const rest = bias ? [bias] : []
  const inputs = [intoBlocks(f, x), blockedWeight(f, weight, block), ...rest] as const
  const form = {
    strides: intsOf(attributes, 'strides') ?? [1, 1],
    dilations: intsOf(attributes, 'dilations') ?? [1, 1],
    pads: intsOf(attributes, 'pads') ?? [0, 0, 0, 0],
  }
  return outOfBlocks(f, convolveBlocks(f, inputs, form, type))
}

/** {@link blockedConvolution} of a model's own Conv; null also where its padding is a rule instead of numbers. */
export function blockedNode(f: Formulas, { inputs, attributes, outputs }: TypedNode): Value | null {
  const [x, weight, bias] = inputs as [Value, Value, (Value | null)?]
  return 'auto_pad' in attributes ? null : blockedConvolution(f, [x, weight, bias], attributes, outputs[0]!)
}

/** Whether a convolution with `weight` has a form in blocks that may pay. */
export function canBeBlocked(weight: Value, group: number, block: number): boolean {
  const [outputs, channels, ...kernel] = weight.shape as [number, number, ...number[]]
  return (
    kernel.length === 2 &&
    sizeOf(kernel) > 1 && // a 1×1 convolution is a matrix product, and fast as one
    group === 1 &&
    outputs % block === 0 &&
    channels % block === 0 &&
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
  return f.builder.emit('Conv', inputs, attributes, type, domain)
}

/**
 * Images `[batch, channels, height, width]` with their elements in the order [batch, channels/b, height, width, b of
 * channels].
 */
export function intoBlocks(f: Formulas, images: Value): Value {
  return f.builder.emit('ReorderInput', [images], {}, images, domain)
}

/** The reverse of {@link intoBlocks}. */
export function outOfBlocks(f: Formulas, blocks: Value): Value {
  return f.builder.emit('ReorderOutput', [blocks], { channels: int(blocks.shape[1]!) }, blocks, domain)
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

/** ONNX bytes of a graph that brings an image `x` `[1, channels, 1, 1]` into blocks, for asking how wide they are. */
export function reorderingModel(channels: number): Uint8Array {
  const builder = new GraphBuilder(18)
  const x = builder.input('x', { dtype: 'float32', shape: [1, channels, 1, 1] })
  const y = builder.emit('ReorderInput', [x], {}, x, domain)
  return writeModel({ ...builder.finish({ y }), outputs: new Map([['y', null]]) })
}
