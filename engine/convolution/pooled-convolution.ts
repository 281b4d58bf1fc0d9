/**
 * Convolutions in blocks whose result only a maximum over tiles reads, as in most small convolutional networks: what
 * lies under one place of all tiles is a convolution of its own, with as many times larger strides, and the pooling is
 * the maximum of those, element by element. The products are the same; neither the pooling nor its gradient
 * (gradients/pooling.ts) looks for anything in an image then (docs/decisions/0008).
 *
 * The convolution's result is an image of parts that take turns (interleaved.ts), and nobody computes it.
 */

import type { Formulas } from '../graph/formulas.ts'
import type { TypedNode, Value } from '../graph/graph-builder.ts'
import { intsOf } from '../onnx/graph.ts'
import { blockedOperands, convolveBlocks } from './blocked-convolution.ts'
import { blocksOf, outOfBlocks } from './blocked-layout.ts'
import { interleave, partsOf } from './interleaved.ts'
import { areTiles, tapsOf, type Windows, windowsOf } from './windows.ts'

/**
 * The result of `convolution`, which only `pooling` (a MaxPool) reads: the image under each place of a tile in turns.
 * Null where it is not in blocks, and where the pooling's windows are no tiles that fill it.
 */
export function convolutionInParts(f: Formulas, convolution: TypedNode, pooling: TypedNode): Value | null {
  const [x, weight] = convolution.inputs as [Value, Value]
  const result = convolution.outputs[0]!
  const tiles = poolWindows(pooling, result)
  const windows = windowsOf(convolution.attributes, weight.shape.slice(2), x, result)
  const { strides, dilations, begin } = windows
  const isFilled = areTiles(tiles) && tiles.end.every((count) => count === 0)
  // parts that take turns along one axis are not found again
  const isBothWays = tiles.kernel.every((size) => size > 1)
  // a part begins as many steps later as its place says, and has as much less padding
  const hasRoom = begin.every((count, axis) => count >= (tiles.kernel[axis]! - 1) * strides[axis]!)
  if (!isFilled || !isBothWays || !hasRoom) return null
  const operands = blockedOperands(f, convolution)
  if (operands === null) return null
  const apart = strides.map((stride, axis) => stride * tiles.kernel[axis]!)
  const type = { dtype: result.dtype, shape: pooling.outputs[0]!.shape }
  const parts = tapsOf(tiles.kernel).map((place) => {
    const pads = padsOfPart(windows, tiles, place)
    return convolveBlocks(f, operands, { strides: apart, dilations, pads }, type)
  })
  return interleave(f, parts, tiles.kernel as [number, number])
}

/** The padding, before and after, at which every tile's `place` is what a convolution reads and no more. */
function padsOfPart(windows: Windows, tiles: Windows, place: readonly number[]): number[] {
  const { kernel, strides, dilations, begin, inputSize } = windows
  const before = place.map((step, axis) => begin[axis]! - step * strides[axis]!)
  const after = before.map((count, axis) => {
    const lastWindow = (tiles.outputSize[axis]! - 1) * tiles.kernel[axis]! * strides[axis]! - count
    return Math.max(0, lastWindow + dilations[axis]! * (kernel[axis]! - 1) + 1 - inputSize[axis]!)
  })
  return [...before, ...after]
}

/** The result of `pooling`, a MaxPool, when its input is the parts of its tiles in turns; else null. */
export function poolingOfParts(f: Formulas, pooling: TypedNode): Value | null {
  const image = pooling.inputs[0]!
  const found = partsOf(f, image)
  if (found === null || `${found.turns}` !== `${poolWindows(pooling, image).kernel}`) return null
  const pooled = found.parts.reduce((largest, part) => {
    const next = f.max(largest, part)
    isStill(f, largest, next) // made now, for the gradient: kept in the place of both
    return next
  })
  return outOfBlocks(f, pooled)
}

/**
 * For each place of a tile but the first, from the last: 1 where the largest element of the places before it is not
 * exceeded at it, else 0, in blocks. `pooled`: a result of {@link poolingOfParts}; null for any other value.
 */
export function placesBefore(f: Formulas, pooled: Value): Value[] | null {
  const before: Value[] = []
  let largest = blocksOf(f, pooled)
  while (largest !== null) {
    const maker: TypedNode | undefined = f.builder.makerOf(f.builder.originOf(largest))
    if (maker?.opType !== 'Max') break
    const previous = maker.inputs[0]!
    before.push(isStill(f, previous, largest))
    largest = previous
  }
  return before.length > 0 ? before : null
}

/** 1 where `next` is no larger than `largest`, else 0; it is never smaller. Two passes in the memory of `largest`. */
function isStill(f: Formulas, largest: Value, next: Value): Value {
  return f.steep(f.sub(largest, next), 1)
}

function poolWindows({ attributes, outputs }: TypedNode, image: Value): Windows {
  return windowsOf(attributes, intsOf(attributes, 'kernel_shape')!, image, outputs[0]!)
}
