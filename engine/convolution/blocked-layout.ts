/**
 * onnxruntime's blocked layout of images (its domain com.microsoft.nchwc): the channels of a point lie side by side in
 * blocks as wide as the processor's vectors, and the shape that a value is said to have stays the one of its plain
 * form.
 *
 * Who makes an image in blocks hands it on as a plain one, with the way out of blocks in the graph. Who can go on in
 * blocks asks where an image came from, and takes it from there; a way out that nobody needs then falls away with the
 * other nodes that nobody reads. So an image may stay in blocks from one operator to the next, and none of them knows
 * of it. Which convolutions are in blocks is blocked-convolution.ts's matter.
 */
import type { Formulas } from '../graph/formulas.ts'
import { GraphBuilder, type Value } from '../graph/graph-builder.ts'
import { int } from '../onnx/graph.ts'
import { writeModel } from '../onnx/write.ts'

/** The domain of operators in blocks. */
export const blockedDomain = 'com.microsoft.nchwc'

/**
 * Images `[batch, channels, height, width]` with their elements in the order [batch, channels/b, height, width, b of
 * channels].
 */
export function intoBlocks(f: Formulas, images: Value): Value {
  return blocksOf(f, images) ?? f.builder.emit('ReorderInput', [images], {}, images, blockedDomain)
}

/** The reverse of {@link intoBlocks}. */
export function outOfBlocks(f: Formulas, blocks: Value): Value {
  return f.builder.emit('ReorderOutput', [blocks], { channels: int(blocks.shape[1]!) }, blocks, blockedDomain)
}

/** What `images` were in blocks; null when they do not come from there. */
export function blocksOf(f: Formulas, images: Value): Value | null {
  const maker = f.builder.makerOf(images)
  return maker?.opType === 'ReorderOutput' ? maker.inputs[0]! : null
}

/**
 * What `formula`, which goes element by element, makes of `values`, all of one shape: in blocks, where all of them come
 * from there.
 */
export function elementwise(
  f: Formulas,
  values: readonly Value[],
  formula: (...values: Value[]) => Value,
): Value {
  const blocks = values.map((value) => blocksOf(f, value)).filter((value) => value !== null)
  return blocks.length === values.length ? outOfBlocks(f, formula(...blocks)) : formula(...values)
}

/** ONNX bytes of a graph that brings an image `x` `[1, channels, 1, 1]` into blocks, for asking how wide they are. */
export function reorderingModel(channels: number): Uint8Array {
  const builder = new GraphBuilder(18)
  const x = builder.input('x', { dtype: 'float32', shape: [1, channels, 1, 1] })
  const y = builder.emit('ReorderInput', [x], {}, x, blockedDomain)
  return writeModel({ ...builder.finish({ y }), outputs: new Map([['y', null]]) })
}
