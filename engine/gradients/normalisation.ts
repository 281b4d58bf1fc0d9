/**
 * Gradients of normalisations. With x̂ = (x - mean)·r, r = 1/√(variance + ε) over some axes, and g = dy·scale:
 *   dx = r·(g - mean(g) - x̂·mean(g·x̂)) ; dscale = Σ dy·x̂ ; dbias = Σ dy
 * (Ba, Kiros, Hinton, "Layer Normalization", 2016; the same algebra serves instances and groups.)
 *
 * BatchNormalization trains by the batch's own mean and variance (engine/program/batch-statistics.ts), which then are its
 * second and third output, as x - mean and r; without them its mean and variance are inputs as others: constants that
 * the batch does not move, or values that the model computes, as PyTorch's new exporter does for modules without
 * running statistics.
 */

import { allAxes, exceptChannels, type Formulas, perChannel, positiveAxis } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { floatOf, intOf } from '../onnx/graph.ts'
import { sizeOf } from '../onnx/types.ts'
import { type Application, gradient, spelledForward, type Use } from './rule.ts'

export const normalisation = {
  LayerNormalization: gradient(
    (application) => {
      const { f, dy, x } = application
      const { normal, rate, axes } = layerStatistics(application)
      return inputGradient(f, f.mul(dy, x[1]!), normal, rate, axes)
    },
    (application) =>
      application.f.sumTo(
        application.f.mul(application.dy, layerStatistics(application).normal),
        application.x[1]!.shape,
      ),
    ({ f, dy, x }) => f.sumTo(dy, x[2]!.shape),
  ),
  /** y = x·r·scale with r = 1/√(mean x² + ε): dx = r·(g - x̂·mean(g·x̂)) */
  RMSNormalization: spelledForward(
    gradient(
      (application) => {
        const { f, dy, x } = application
        const { normal, rate, axes } = rootMeanSquare(application)
        const g = f.mul(dy, x[1]!)
        return f.mul(rate, f.sub(g, f.mul(normal, f.reduceMean(f.mul(g, normal), axes, true))))
      },
      (application) =>
        application.f.sumTo(
          application.f.mul(application.dy, rootMeanSquare(application).normal),
          application.x[1]!.shape,
        ),
    ),
    (use) => use.f.mul(rootMeanSquare(use).normal, use.x[1]!),
  ),
  /**
   * By the batch, N values a channel: dx = scale·r·(dy - dbias/N - x̂·dscale/N). By its inputs: dx = scale·r·dy ;
   * dmean = -scale·r·dbias ; dvariance = -scale·r²·dscale/2. Either way dscale = r·Σ dy·(x - mean) ; dbias = Σ dy
   */
  BatchNormalization: gradient(
    (application) => {
      const { f, dy, x, y } = application
      const { centred, rate } = batchStatistics(application)
      const slope = f.mul(x[1]!, rate)
      const direct = f.mul(dy, perChannel(f, slope, dy))
      if (!y[1]) return direct
      const count = sizeOf(dy.shape) / dy.shape[1]!
      const scaleGradient = f.mul(f.reduceSum(f.mul(dy, centred), exceptChannels(dy)), rate)
      const along = f.mul(f.mul(slope, rate), f.div(scaleGradient, count))
      const level = f.mul(slope, f.div(f.reduceSum(dy, exceptChannels(dy)), count))
      const common = f.add(f.mul(centred, perChannel(f, along, dy)), perChannel(f, level, dy))
      return f.sub(direct, common)
    },
    slopeByScale,
    ({ f, dy }) => f.reduceSum(dy, exceptChannels(dy)),
    (application) => {
      const { f, dy, x, y } = application
      if (y[1]) return f.full(x[3]!.shape)
      const { rate } = batchStatistics(application)
      return f.neg(f.mul(f.mul(x[1]!, rate), f.reduceSum(dy, exceptChannels(dy))))
    },
    (application) => {
      const { f, x, y } = application
      if (y[1]) return f.full(x[4]!.shape)
      const { rate } = batchStatistics(application)
      return f.mul(f.mul(f.mul(rate, rate), f.mul(x[1]!, -0.5)), slopeByScale(application))
    },
  ),
  InstanceNormalization: gradient(
    (application) => {
      const { f, dy, x } = application
      const { normal, rate, axes } = statistics(
        f,
        x[0]!,
        exceptBatchAndChannels(dy),
        floatOf(application.attributes, 'epsilon', 1e-5),
      )
      return inputGradient(f, f.mul(dy, perChannel(f, x[1]!, dy)), normal, rate, axes)
    },
    (application) => {
      const { f, dy, x } = application
      const { normal } = statistics(
        f,
        x[0]!,
        exceptBatchAndChannels(dy),
        floatOf(application.attributes, 'epsilon', 1e-5),
      )
      return f.reduceSum(f.mul(dy, normal), exceptChannels(dy))
    },
    ({ f, dy }) => f.reduceSum(dy, exceptChannels(dy)),
  ),
  /** Mean and variance per group of channels ; scale and bias per channel, before operator set 21 per group */
  GroupNormalization: spelledForward(
    gradient(
      (application) => {
        const { f, dy, x } = application
        const { normal, rate, axes, grouped } = groupStatistics(application)
        const g = f.reshape(f.mul(dy, forChannels(f, x[1]!, dy)), grouped)
        return f.reshape(inputGradient(f, g, normal, rate, axes), dy.shape)
      },
      (application) => {
        const { f, dy, x } = application
        const normal = f.reshape(groupStatistics(application).normal, dy.shape)
        return channelSums(f, f.mul(dy, normal), x[1]!)
      },
      ({ f, dy, x }) => channelSums(f, dy, x[2]!),
    ),
    (use) => {
      const { f, x } = use
      const normal = f.reshape(groupStatistics(use).normal, x[0]!.shape)
      return f.add(f.mul(normal, forChannels(f, x[1]!, x[0]!)), forChannels(f, x[2]!, x[0]!))
    },
  ),
} as const

interface Statistics {
  /** x̂, of x's shape. */
  normal: Value
  /** r, with the normalised axes kept as 1. */
  rate: Value
  axes: number[]
}

function inputGradient(f: Formulas, g: Value, normal: Value, rate: Value, axes: readonly number[]): Value {
  const along = f.mul(normal, f.reduceMean(f.mul(g, normal), axes, true))
  return f.mul(rate, f.sub(f.sub(g, f.reduceMean(g, axes, true)), along))
}

function statistics(f: Formulas, x: Value, axes: number[], epsilon: number): Statistics {
  const centred = f.sub(x, f.reduceMean(x, axes, true))
  const variance = f.reduceMean(f.mul(centred, centred), axes, true)
  const rate = f.reciprocal(f.sqrt(f.add(variance, epsilon)))
  return { normal: f.mul(centred, rate), rate, axes }
}

/** LayerNormalization's own second and third outputs are mean and r. */
function layerStatistics({ f, x, y, attributes }: Application): Statistics {
  const axes = trailingAxes(x[0]!, intOf(attributes, 'axis', -1))
  const [, mean, rate] = y as [Value, Value, Value]
  return { normal: f.mul(f.sub(x[0]!, mean), rate), rate, axes }
}

function rootMeanSquare({ f, x, attributes }: Use): Statistics {
  const axes = trailingAxes(x[0]!, intOf(attributes, 'axis', -1))
  const mean = f.reduceMean(f.mul(x[0]!, x[0]!), axes, true)
  const rate = f.reciprocal(f.sqrt(f.add(mean, floatOf(attributes, 'epsilon', 1e-5))))
  return { normal: f.mul(x[0]!, rate), rate, axes }
}

function groupStatistics({ f, x, attributes }: Use): Statistics & { grouped: number[] } {
  const [batch, channels, ...spatial] = x[0]!.shape as [number, number, ...number[]]
  const groups = intOf(attributes, 'num_groups', 1)
  const grouped = [batch, groups, channels / groups, ...spatial]
  const axes = grouped.map((_, axis) => axis).slice(2)
  return { ...statistics(f, f.reshape(x[0]!, grouped), axes, floatOf(attributes, 'epsilon', 1e-5)), grouped }
}

/** r·Σ dy·(x - mean), by channel. */
function slopeByScale(application: Application): Value {
  const { f, dy } = application
  const { centred, rate } = batchStatistics(application)
  return f.mul(f.reduceSum(f.mul(dy, centred), exceptChannels(dy)), rate)
}

/** x - mean, and r as `[channels]`. */
function batchStatistics({ f, x, y, attributes }: Application): { centred: Value; rate: Value } {
  const [, centred, rate] = y
  if (centred && rate) return { centred, rate }
  return {
    centred: f.sub(x[0]!, perChannel(f, x[3]!, x[0]!)),
    rate: f.reciprocal(f.sqrt(f.add(x[4]!, floatOf(attributes, 'epsilon', 1e-5)))),
  }
}

/** As {@link perChannel}; a value per group is repeated for the group's channels. */
function forChannels(f: Formulas, value: Value, like: Value): Value {
  const [groups, channels] = [value.shape[0]!, like.shape[1]!]
  if (groups === channels) return perChannel(f, value, like)
  const repeated = f.expand(f.reshape(value, [groups, 1]), [groups, channels / groups])
  return perChannel(f, f.reshape(repeated, [channels]), like)
}

/** The gradient of {@link forChannels}. */
function channelSums(f: Formulas, dy: Value, value: Value): Value {
  const groups = value.shape[0]!
  const sums = f.reduceSum(dy, exceptChannels(dy))
  return f.reduceSum(f.reshape(sums, [groups, sums.shape[0]! / groups]), [1])
}

function trailingAxes(x: Value, axis: number): number[] {
  return allAxes(x).slice(positiveAxis(axis, x.shape.length))
}

function exceptBatchAndChannels(x: Value): number[] {
  return allAxes(x).slice(2)
}
