/**
 * Convolutions whose taps read at computed places (Dai et al., "Deformable convolutional networks", 2017; with a weight
 * for each tap: Zhu et al., "Deformable ConvNets v2", 2018, equation 1), spelled out: what the taps read, side by side,
 * times the weights. Gradients reach the image, the weights, the places and the taps' own weights.
 *
 *   y[n, o, p] = Σ_c Σ_k W[o, c, k] · mask[n, k, p] · X[n, c, p·stride - pad + k·dilation + offset[n, k, p]] + B[o]
 *
 * Places outside the image read zeros, places between elements a bilinear mean.
 */

import { tapsOf, type Windows, windowsOf } from '../convolution/windows.ts'
import { type Formulas, perChannel } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { intOf } from '../onnx/graph.ts'
import { sizeOf } from '../onnx/types.ts'
import { spelled, type Use } from './rule.ts'
import { sampleAt } from './sampling.ts'

export const deformable = {
  /**
   * X `[N, C, ...size]`, W `[O, C/group, ...kernel]`, offsets `[N, G·taps·axes, ...positions]`, B `[O]`, mask
   * `[N, G·taps, ...positions]`
   */
  DeformConv: spelled((use) => {
    const { f, x, has, attributes } = use
    const [image, weight, offsets] = x as [Value, Value, Value]
    const [batch, channels] = image.shape as [number, number]
    const [outputs, perGroup, ...kernel] = weight.shape as [number, number, ...number[]]
    const positions = offsets.shape.slice(2)
    const windows = windowsOf(attributes, kernel, image, { ...image, shape: [batch, outputs, ...positions] })
    const read = readTaps(use, windows)
    const group = channels / perGroup
    const columns = f.reshape(read, [batch, group, perGroup * sizeOf(kernel), sizeOf(positions)])
    const rows = f.reshape(weight, [1, group, outputs / group, perGroup * sizeOf(kernel)])
    const product = f.reshape(f.matmul(rows, columns), [batch, outputs, ...positions])
    return has(3) ? f.add(product, perChannel(f, x[3]!, product)) : product
  }),
} as const

/** What each tap of each channel reads at every position, times its mask: `[batch, channels, taps · positions]`. */
function readTaps({ f, x, has, attributes }: Use, windows: Windows): Value {
  const [image, , offsets] = x as [Value, Value, Value]
  const [batch, channels] = image.shape as [number, number]
  const groups = intOf(attributes, 'offset_group', 1) // of channels that read at the same places
  const [taps, axes] = [sizeOf(windows.kernel), windows.kernel.length]
  const places = taps * sizeOf(windows.outputSize)
  const moved = f.reshape(offsets, [batch * groups, taps, axes, sizeOf(windows.outputSize)])
  const along = windows.kernel.map((_, axis) => {
    const own = f.reshape(f.slice(moved, [{ axis: 2, start: axis, count: 1 }]), [batch * groups, 1, places])
    return f.add(own, restingPlaces(f, windows, axis))
  })
  const pixels = f.reshape(image, [batch * groups, channels / groups, sizeOf(windows.inputSize)])
  const samples = sampleAt(f, pixels, along, windows.inputSize)
  const weighed = has(4) ? f.mul(samples, f.reshape(x[4]!, [batch * groups, 1, places])) : samples
  return f.reshape(weighed, [batch, channels, places])
}

/** `[1, 1, taps · positions]`: the element of `axis` that each tap reads where nothing moves it. */
function restingPlaces(
  f: Formulas,
  { kernel, strides, dilations, begin, outputSize }: Windows,
  axis: number,
) {
  const positions = tapsOf(outputSize)
  const places = tapsOf(kernel).flatMap((tap) =>
    positions.map(
      (position) => position[axis]! * strides[axis]! - begin[axis]! + tap[axis]! * dilations[axis]!,
    ),
  )
  return f.tensor(Float32Array.from(places), [1, 1, places.length])
}
