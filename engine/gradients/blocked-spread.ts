/**
 * The transpose of a convolution in blocks of channels (blocked-convolution.ts): the gradient of its input.
 *
 * At stride s, elements s·q + r of an axis are reached by the same taps for every q, those for which o is whole:
 *   dX[s·q + r] = Σ_t Wᵀ_t·dY[q + o_t] ,  o_t = (r + begin - t·dilation)/s
 * For each r, of both axes, that is a convolution of dY at stride 1 with those taps in reverse (Dumoulin & Visin, "A
 * guide to convolution arithmetic for deep learning", 2016, section 4); their results take turns in dX (interleaved.ts). At stride 1
 * there is one, with all taps. It multiplies by no zeros, and all images at once, where onnxruntime's ConvTranspose
 * goes image by image (docs/decisions/0008).
 */
import { canBeBlocked, convolveBlocks } from '../convolution/blocked-convolution.ts'
import { intoBlocks } from '../convolution/blocked-layout.ts'
import { interleave } from '../convolution/interleaved.ts'
import type { Windows } from '../convolution/windows.ts'
import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { int } from '../onnx/graph.ts'
import { sizeOf } from '../onnx/types.ts'

/**
 * Window positions of a whole batch from which it is faster than ConvTranspose: with 128 it takes 0.2 to 0.8 times as
 * long. Fewer were not measured at stride 1.
 */
const positionsMin = 128

/** Strides of 3 and more were not measured. */
const strideMax = 2

/** What reaches every s-th element of one axis. */
interface Reach {
  /** In ascending order of what they read. */
  readonly taps: readonly number[]
  /** Padding of dY. */
  readonly before: number
  readonly after: number
}

/**
 * convᵀ(`dy`, `weight`) `[batch, channels, ...inputSize]`: `dy` `[batch, outputs, ...outputSize]` through `weight`
 * `[outputs, channels, ...kernel]`; null where that does not pay or is not possible.
 */
export function blockedSpread(
  f: Formulas,
  dy: Value,
  weight: Value,
  windows: Windows,
  group: number,
): Value | null {
  const { channelBlock: block } = f.builder.target
  if (block === undefined || !canBeBlocked(weight, group, block)) return null
  const { strides, dilations, inputSize } = windows
  const reaches = strides.map((stride, axis) =>
    Array.from({ length: stride }, (_, remainder) => reachOf(windows, axis, remainder)),
  )
  const [down, across] = reaches as [(Reach | null)[], (Reach | null)[]]
  if (sizeOf(dy.shape) / dy.shape[1]! < positionsMin) return null
  if (strides.some((stride) => stride > strideMax) || reaches.flat().includes(null)) return null
  const [images, weights] = [intoBlocks(f, dy), blockedByTap(f, weight, block)]
  const type = {
    dtype: dy.dtype,
    shape: [dy.shape[0]!, weight.shape[1]!, ...inputSize.map((size, axis) => size / strides[axis]!)],
  }
  const form = {
    strides: [1, 1],
    dilations: strides.map((stride, axis) => (stride > 1 ? 1 : dilations[axis]!)),
  }
  const parts = (down as Reach[]).flatMap((vertical) =>
    (across as Reach[]).map((horizontal) => {
      const pads = [vertical.before, horizontal.before, vertical.after, horizontal.after]
      const taps = tapsOfBoth(f, weights, weight, vertical, horizontal)
      return convolveBlocks(f, [images, taps], { ...form, pads }, type)
    }),
  )
  return interleave(f, parts, strides as [number, number])
}

/**
 * What reaches elements `remainder`, `remainder` + stride, … of `axis`; null where that is no convolution with padding
 * as usual.
 */
function reachOf(windows: Windows, axis: number, remainder: number): Reach | null {
  const [stride, dilation] = [windows.strides[axis]!, windows.dilations[axis]!]
  const [size, positions] = [windows.inputSize[axis]!, windows.outputSize[axis]!]
  const offsetOf = (tap: number) => (remainder + windows.begin[axis]! - tap * dilation) / stride
  const taps = Array.from({ length: windows.kernel[axis]! }, (_, tap) => tap)
    .filter((tap) => Number.isInteger(offsetOf(tap)))
    .reverse()
  const [first, last] = [taps[0], taps.at(-1)]
  if (first === undefined || last === undefined || size % stride !== 0) return null
  if (stride > 1 && dilation > 1) return null // taps may be further apart than one position
  const span = offsetOf(last) - offsetOf(first)
  const before = 0 - offsetOf(first)
  const after = size / stride - positions - before + span
  return before >= 0 && before <= span && after >= 0 && after <= span ? { taps, before, after } : null
}

/** `weight` `[outputs, channels, ...kernel]` as `[channels/b·outputs/b, taps, b of outputs·b of channels]`. */
function blockedByTap(f: Formulas, weight: Value, block: number): Value {
  const [outputs, channels, ...kernel] = weight.shape as [number, number, ...number[]]
  const taps = sizeOf(kernel)
  // brought into blocks as images are, which moves single elements faster than a transposition
  const images = intoBlocks(f, f.reshape(weight, [outputs, channels, taps, 1]))
  const cut = f.reshape(images, [outputs / block, block, channels / block, taps, block])
  const blocks = (channels / block) * (outputs / block)
  return f.reshape(f.transpose(cut, [2, 0, 3, 1, 4]), [blocks, taps, block * block])
}

/**
 * The taps of `weights`, {@link blockedByTap} of `weight`, that reach both ways: a weight in blocks from outputs to
 * channels.
 */
function tapsOfBoth(f: Formulas, weights: Value, weight: Value, vertical: Reach, horizontal: Reach): Value {
  const [outputs, channels, , width] = weight.shape as [number, number, number, number]
  const taps = vertical.taps.flatMap((row) => horizontal.taps.map((column) => row * width + column))
  const type = { dtype: weights.dtype, shape: weights.shape.with(1, taps.length) }
  const read = f.builder.emit('Gather', [weights, f.builder.integers(taps)], { axis: int(1) }, type)
  return f.reshape(read, [channels, outputs, vertical.taps.length, horizontal.taps.length])
}
