/**
 * BatchNormalization as it trains: normalised by the mean and variance of the batch, which also move the running ones.
 *
 * With N values of a channel in the batch, their mean μ and variance σ² (Ioffe & Szegedy, "Batch Normalization", 2015,
 * Alg. 1):
 *   y = scale·(x - μ)/√(σ² + ε) + bias
 *   running mean ← m·running mean + (1 - m)·μ ;  running variance ← m·running variance + (1 - m)·σ²·N/(N - 1)
 * m is ONNX's `momentum`, one minus PyTorch's. The running variance takes the unbiased σ², as torch.nn.BatchNorm does.
 * Spelled out in plain operators: the operator's own training mode does not run on WebGPU. Its gradient is in
 * gradients/normalisation.ts; what an evaluation computes, with the running values, is the operator as the file has it.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import { exceptChannels, type Formulas, perChannel } from '../graph/formulas.ts'
import type { TypedNode, Value } from '../graph/graph-builder.ts'
import { floatOf } from '../onnx/graph.ts'
import { sizeOf } from '../onnx/types.ts'

/** A BatchNormalization in a training graph. */
export interface BatchNormalised {
  /** y, then x - μ of its shape, then 1/√(σ² + ε) as `[channels]`: what the gradient reads. */
  readonly outputs: readonly [Value, Value, Value]
  /** `[channels]` f32 */
  readonly nextMean: Value
  /** `[channels]` f32 */
  readonly nextVariance: Value
}

/**
 * Adds `node`, a BatchNormalization, to `f`'s graph. `inputs`: x `[batch, channels, ...]`, scale, bias and the running
 * values.
 * @throws {SwarmError} MODEL_UNSUPPORTED when a channel has one value only, which has no variance.
 */
export function normaliseByBatch(f: Formulas, node: TypedNode, inputs: readonly Value[]): BatchNormalised {
  const [x, scale, bias, runningMean, runningVariance] = inputs as [Value, Value, Value, Value, Value]
  const count = sizeOf(x.shape) / x.shape[1]!
  if (count < 2) throw oneValue(node)
  const axes = exceptChannels(x)
  const mean = f.reduceMean(x, axes)
  const centred = f.sub(x, perChannel(f, mean, x))
  const variance = f.reduceMean(f.mul(centred, centred), axes)
  const rate = f.reciprocal(f.sqrt(f.add(variance, floatOf(node.attributes, 'epsilon', 1e-5))))
  const y = f.add(f.mul(centred, perChannel(f, f.mul(rate, scale), x)), perChannel(f, bias, x))
  const momentum = floatOf(node.attributes, 'momentum', 0.9)
  const moved = (running: Value, seen: Value, share: number) =>
    f.add(f.mul(running, momentum), f.mul(seen, share))
  return {
    outputs: [y, centred, rate],
    nextMean: moved(runningMean, mean, 1 - momentum),
    nextVariance: moved(runningVariance, variance, ((1 - momentum) * count) / (count - 1)),
  }
}

function oneValue({ name }: TypedNode): SwarmError {
  return new SwarmError(
    'MODEL_UNSUPPORTED',
    `BatchNormalization (node '${name}') sees a single value of each channel, which has no variance`,
    { hint: 'Train with a batch of two or more.' },
  )
}
