/**
 * The gradient of a convolution's weight where few channels are read and dY is an image of parts in blocks that take
 * turns (interleaved.ts), as behind a pooling:
 *   dW_t = Σ over parts, images n:  X_t[n]·dY_part[n] ,  X_t what tap t reads at the part's positions
 * A part of an image is a matrix [positions, b of outputs] for each block as it lies, so nothing of dY is moved. The
 * whole image would have to be put together, and brought out of blocks, to be multiplied once; there are as many
 * products either way, and what is read of a few channels is small.
 */
import { partsOf } from '../convolution/interleaved.ts'
import { padForWindows, tapsOf, type Windows } from '../convolution/windows.ts'
import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { sizeOf } from '../onnx/types.ts'
import { channelsByTap } from './weight-gradient.ts'

/**
 * dW, of `shape` `[outputs, channels, ...kernel]`, of a convolution from `x` `[batch, channels, ...]` to positions
 * whose gradient is `dy` `[batch, outputs, ...]`; null where another form is faster, and where `dy` is no such image.
 */
export function weightFromParts(
  f: Formulas,
  x: Value,
  dy: Value,
  shape: readonly number[],
  windows: Windows,
): Value | null {
  const [outputs, channels] = shape as [number, number]
  const found = x.shape[1] === channels && channels < channelsByTap ? partsOf(f, dy) : null
  if (found === null) return null
  const { parts, turns } = found
  const { strides, dilations, kernel, outputSize } = windows
  const counts = outputSize.map((count, axis) => count / turns[axis]!)
  const [batch, positions, block] = [x.shape[0]!, sizeOf(counts), f.builder.target.channelBlock!]
  const [taps, padded] = [tapsOf(kernel), padForWindows(f, x, windows, 0)]
  const products = tapsOf(turns).map((place, index) => {
    const reads = taps.map((tap) => {
      const cuts = counts.map((count, axis) => ({
        axis: axis + 2,
        start: tap[axis]! * dilations[axis]! + place[axis]! * strides[axis]!,
        count,
        step: strides[axis]! * turns[axis]!,
      }))
      return f.reshape(f.slice(padded, cuts), [batch, 1, channels, positions])
    })
    const blocks = f.reshape(parts[index]!, [batch, outputs / block, positions, block])
    return f.matmul(f.concat(reads, 2), blocks)
  })
  const sum = f.reduceSum(
    products.reduce((total, product) => f.add(total, product)),
    [0],
  )
  const byTap = f.reshape(sum, [outputs / block, taps.length, channels, block])
  return f.reshape(f.transpose(byTap, [0, 3, 2, 1]), shape)
}
