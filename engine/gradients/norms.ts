/**
 * Divisions by a norm or a deviation, spelled out. They are for old or rare models; what PyTorch writes today (batch,
 * layer, instance, group, root mean square) has formulas of its own in normalisation.ts.
 */

import { allAxes, type Formulas, positiveAxis } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { floatOf, intOf } from '../onnx/graph.ts'
import { sizeOf } from '../onnx/types.ts'
import { spelled, type Use } from './rule.ts'

export const norms = {
  /** y = x/‖x‖_p along an axis, p = 1 or 2 ; 0 where the norm is 0 */
  LpNormalization: spelled(({ f, x, attributes }) => {
    const axis = positiveAxis(intOf(attributes, 'axis', -1), x[0]!.shape.length)
    const isFirst = intOf(attributes, 'p', 2) === 1
    const sum = f.reduceSum(isFirst ? f.unary('Abs', x[0]!) : f.mul(x[0]!, x[0]!), [axis], true)
    const power = f.where(f.greater(sum, 0), sum, 1) // before the root, whose slope at 0 is infinite
    return f.div(x[0]!, isFirst ? power : f.sqrt(power))
  }),
  /**
   * y = x·(bias + α/size·Σ x²)^-β, the sum over `size` neighbouring channels (Krizhevsky et al., "ImageNet
   * classification with deep convolutional neural networks", 2012, section 3.3)
   */
  LRN: spelled(({ f, x, attributes }) => {
    const size = intOf(attributes, 'size', 1)
    const [batch, channels, ...spatial] = x[0]!.shape as [number, number, ...number[]]
    const squares = f.reshape(f.mul(x[0]!, x[0]!), [batch, channels, sizeOf(spatial)])
    const sums = f.reshape(f.matmul(channelBand(f, channels, size), squares), x[0]!.shape)
    const scaled = f.mul(sums, floatOf(attributes, 'alpha', 1e-4) / size)
    const base = f.add(scaled, floatOf(attributes, 'bias', 1))
    return f.mul(x[0]!, f.pow(base, -floatOf(attributes, 'beta', 0.75)))
  }),
  /** y = (Σ |x|^p)^(1/p) of all that is not batch or channel */
  GlobalLpPool: spelled((use) =>
    lpNorm(use, (powers) => use.f.reduceSum(powers, allAxes(powers).slice(2), true)),
  ),
} as const

/** `[channels, channels]`: 1 where a channel is among the `size` around another, fewer before than after. */
function channelBand(f: Formulas, channels: number, size: number): Value {
  const band = new Float32Array(channels * channels)
  const before = Math.floor((size - 1) / 2)
  for (let row = 0; row < channels; row++) {
    const last = Math.min(channels - 1, row + size - 1 - before)
    for (let column = Math.max(0, row - before); column <= last; column++) band[row * channels + column] = 1
  }
  return f.tensor(band, [channels, channels])
}

/** (Σ |x|^p)^(1/p), where `sum` adds up. */
export function lpNorm({ f, x, attributes }: Use, sum: (powers: Value) => Value): Value {
  const p = intOf(attributes, 'p', 2)
  if (p === 2) return f.sqrt(sum(f.mul(x[0]!, x[0]!)))
  return f.pow(sum(f.pow(f.unary('Abs', x[0]!), p)), 1 / p)
}
