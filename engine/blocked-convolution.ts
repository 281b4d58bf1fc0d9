/**
 * Convolution in onnxruntime's blocked layout, in which the channels of a point lie side by side in blocks as wide as the processor's
 * vectors (its domain com.microsoft.nchwc; Georganas et al., "Anatomy of high-performance deep learning convolutions", 2018).
 *
 * onnxruntime puts convolutions into that layout itself where weights are constants; in training they are not. Here the weight
 * is brought into blocks in the graph, in every step, and the images go in and out: that pays where images are much larger
 * than the weight (docs/decisions/0008). How wide blocks are is the processor's matter; a backend without them has none.
 */
import type { Formulas } from './onnx/formulas.ts'
import { type Attributes, int, intOf, ints, intsOf, text } from './onnx/graph.ts'
import { GraphBuilder, type TypedNode, type Value } from './onnx/graph-builder.ts'
import { sizeOf, type TensorType } from './onnx/types.ts'
import { writeModel } from './onnx/write.ts'

const domain = 'com.microsoft.nchwc'

/**
 * Window positions of a whole batch from which a convolution is faster in blocks, with its weight brought there: with 500 it takes
 * 1.1 to 1.4 times as long, with 2,000 and more 0.6 to 0.95 times.
 */
const positionsMin = 2_000

/**
 * The result of `type` of Conv `x` `[batch, channels, height, width]` with `weight` `[outputs, channels, ...kernel]` and perhaps `bias`
 * `[outputs]`, in blocks; null where that does not pay or is not possible. `attributes`: Conv's, with padding as numbers.
 */
export function blockedConvolution(
  f: Formulas,
  [x, weight, bias]: readonly [Value, Value, (Value | null)?],
  attributes: Attributes,
  type: TensorType,
): Value | null {
  const { channelBlock: block } = f.builder.target
  if (block === undefined || !pays(x, weight, attributes, type, block)) return null
  const kernel = weight.shape.slice(2)
  const complete: Attributes = {
    kernel_shape: ints(kernel),
    strides: ints(intsOf(attributes, 'strides') ?? [1, 1]),
    dilations: ints(intsOf(attributes, 'dilations') ?? [1, 1]),
    pads: ints(intsOf(attributes, 'pads') ?? [0, 0, 0, 0]),
    group: int(1),
    auto_pad: text('NOTSET'),
  }
  const images = f.builder.emit('ReorderInput', [x], {}, x, domain)
  const inputs = [images, blockedWeight(f, weight, block), ...(bias ? [bias] : [])]
  const blocked = f.builder.emit('Conv', inputs, complete, type, domain)
  return f.builder.emit('ReorderOutput', [blocked], { channels: int(type.shape[1]!) }, type, domain)
}

/** {@link blockedConvolution} of a model's own Conv; null also where its padding is a rule instead of numbers. */
export function blockedNode(f: Formulas, { inputs, attributes, outputs }: TypedNode): Value | null {
  const [x, weight, bias] = inputs as [Value, Value, (Value | null)?]
  return 'auto_pad' in attributes ? null : blockedConvolution(f, [x, weight, bias], attributes, outputs[0]!)
}

function pays(x: Value, weight: Value, attributes: Attributes, type: TensorType, block: number): boolean {
  const [outputs, channels, ...kernel] = weight.shape as [number, number, ...number[]]
  return (
    kernel.length === 2 &&
    sizeOf(kernel) > 1 && // a 1×1 convolution is a matrix product, and fast as one
    intOf(attributes, 'group', 1) === 1 &&
    outputs % block === 0 &&
    channels % block === 0 &&
    x.dtype === 'float32' &&
    sizeOf(type.shape) / outputs >= positionsMin
  )
}

/** `[outputs, channels, ...kernel]` with its elements in the order [outputs/b, channels/b, ...kernel, b of channels, b of outputs]. */
function blockedWeight(f: Formulas, weight: Value, block: number): Value {
  const [outputs, channels, ...kernel] = weight.shape as [number, number, ...number[]]
  const cut = f.reshape(weight, [outputs / block, block, channels / block, block, sizeOf(kernel)])
  return f.reshape(f.transpose(cut, [0, 2, 4, 3, 1]), weight.shape)
}

/** ONNX bytes of a graph that brings an image `x` `[1, channels, 1, 1]` into blocks, for asking how wide they are. */
export function reorderingModel(channels: number): Uint8Array {
  const builder = new GraphBuilder(18)
  const x = builder.input('x', { dtype: 'float32', shape: [1, channels, 1, 1] })
  const y = builder.emit('ReorderInput', [x], {}, x, domain)
  return writeModel({ ...builder.finish({ y }), outputs: new Map([['y', null]]) })
}
