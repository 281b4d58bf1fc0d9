/**
 * The models that measurements train, made by code: a multilayer perceptron, a small CNN, a GPT and residual networks,
 * as PyTorch's exporter writes them, with weights from a seed.
 *
 * Each is an ONNX file of a fixed batch whose output is logits. Weights are drawn so that activations keep their size
 * (He et al., "Delving deep into rectifiers", 2015); nothing is learned here that anybody would want.
 */

import { Formulas } from '../../engine/graph/formulas.ts'
import { GraphBuilder, type Value } from '../../engine/graph/graph-builder.ts'
import { float, int, ints } from '../../engine/onnx/graph.ts'
import { float32Constant, sizeOf } from '../../engine/onnx/types.ts'
import { writeModel } from '../../engine/onnx/write.ts'
import { type Random, seededRandom } from '../../protocols/core/random.ts'

/** Gelu came with operator set 20. */
const opset = 20

/** Drawing the 124 million weights of a GPT-2 one by one would take longer than what is measured. */
const drawnMax = 1 << 16

/** A graph under construction, and where its weights come from. */
class Network {
  readonly f = new Formulas(new GraphBuilder(opset))
  readonly #random: Random = seededRandom(1)

  /**
   * A weight of `shape` with standard deviation `scale`, around `mean`; drawn up to `drawnMax` elements, then repeated.
   */
  weight(name: string, shape: readonly number[], scale: number, mean = 0): Value {
    const data = new Float32Array(sizeOf(shape))
    const drawn = data.subarray(0, drawnMax)
    for (let i = 0; i < drawn.length; i++) drawn[i] = mean + scale * this.#random.normal()
    for (let i = drawn.length; i < data.length; i++) data[i] = data[i - drawn.length]!
    return this.f.builder.constant(float32Constant(data, shape), name)
  }

  /** x·Wᵀ + b over the rows of `[rows, from]`. */
  linear(x: Value, width: number): Value {
    const from = x.shape[1]!
    const weight = this.weight('weight', [width, from], Math.sqrt(2 / from))
    const inputs = [x, weight, this.weight('bias', [width], 0.01)]
    return this.f.builder.emit(
      'Gemm',
      inputs,
      { transB: int(1) },
      { dtype: 'float32', shape: [x.shape[0]!, width] },
    )
  }

  relu(x: Value): Value {
    return this.f.unary('Relu', x)
  }

  /** A square convolution with padding that keeps the image's size at stride 1. */
  conv(x: Value, channels: number, kernel: number, { stride = 1, bias = false } = {}): Value {
    const [batch, from, height, width] = x.shape as [number, number, number, number]
    const pad = (kernel - 1) / 2
    const weight = this.weight(
      'weight',
      [channels, from, kernel, kernel],
      Math.sqrt(2 / (from * kernel * kernel)),
    )
    const size = (length: number) => Math.floor((length + 2 * pad - kernel) / stride) + 1
    const attributes = {
      kernel_shape: ints([kernel, kernel]),
      strides: ints([stride, stride]),
      pads: ints([pad, pad, pad, pad]),
    }
    const shape = [batch, channels, size(height), size(width)]
    const inputs = bias ? [x, weight, this.weight('bias', [channels], 0.01)] : [x, weight]
    return this.f.builder.emit('Conv', inputs, attributes, { dtype: 'float32', shape })
  }

  maxPool(x: Value, kernel: number, stride: number, pad = 0): Value {
    const [batch, channels, height, width] = x.shape as [number, number, number, number]
    const size = (length: number) => Math.floor((length + 2 * pad - kernel) / stride) + 1
    const attributes = {
      kernel_shape: ints([kernel, kernel]),
      strides: ints([stride, stride]),
      pads: ints([pad, pad, pad, pad]),
    }
    const shape = [batch, channels, size(height), size(width)]
    return this.f.builder.emit('MaxPool', [x], attributes, { dtype: 'float32', shape })
  }

  batchNorm(x: Value): Value {
    const channels = x.shape[1]!
    const inputs = [
      x,
      this.weight('scale', [channels], 0.01, 1),
      this.weight('bias', [channels], 0.01),
      this.weight('running_mean', [channels], 0.01),
      this.weight('running_var', [channels], 0.01, 1),
    ]
    return this.f.builder.emit('BatchNormalization', inputs, { epsilon: float(1e-5) }, x)
  }

  layerNorm(x: Value): Value {
    const width = x.shape.at(-1)!
    const inputs = [x, this.weight('scale', [width], 0.01, 1), this.weight('bias', [width], 0.01)]
    return this.f.builder.emit('LayerNormalization', inputs, { axis: int(-1), epsilon: float(1e-5) }, x)
  }

  /** x·W + b over the last axis, as PyTorch exports a linear layer of more than two dimensions. */
  project(x: Value, width: number): Value {
    const from = x.shape.at(-1)!
    const product = this.f.matmul(x, this.weight('weight', [from, width], 0.02))
    return this.f.add(product, this.weight('bias', [width], 0.01))
  }

  finish(logits: Value): Uint8Array {
    return writeModel(this.f.builder.finish({ logits }))
  }
}

/** Layers of `widths` from the input to the logits, with Relu between them. */
export function perceptron(batch: number, widths: readonly number[]): Uint8Array {
  const network = new Network()
  const [first, ...rest] = widths
  let x = network.f.builder.input('x', { dtype: 'float32', shape: [batch, first!] })
  for (const [index, width] of rest.entries()) {
    x = network.linear(x, width)
    if (index < rest.length - 1) x = network.relu(x)
  }
  return network.finish(x)
}

/** Two 3×3 convolutions of 32 and 64 channels on 28×28, each with Relu and 2×2 pooling, then ten classes. */
export function smallCnn(batch: number): Uint8Array {
  const network = new Network()
  let x = network.f.builder.input('x', { dtype: 'float32', shape: [batch, 1, 28, 28] })
  for (const channels of [32, 64]) {
    x = network.maxPool(network.relu(network.conv(x, channels, 3, { bias: true })), 2, 2)
  }
  return network.finish(network.linear(network.f.reshape(x, [batch, 64 * 7 * 7]), 10))
}

export interface GptSizes {
  layers: number
  width: number
  heads: number
  context: number
  vocabulary: number
}

/** A GPT-2: learned positions, pre-norm blocks with causal attention and Gelu, a head tied to the embedding. */
export function gpt(batch: number, { layers, width, heads, context, vocabulary }: GptSizes): Uint8Array {
  const network = new Network()
  const { f } = network
  const ids = f.builder.input('ids', { dtype: 'int64', shape: [batch, context] })
  const table = network.weight('embedding', [vocabulary, width], 0.02)
  const shape = [batch, context, width]
  const embedded = f.builder.emit('Gather', [table, ids], { axis: int(0) }, { dtype: 'float32', shape })
  let x = f.add(embedded, network.weight('position', [context, width], 0.02))
  const isPast = f.builder.constant({
    dtype: 'bool',
    shape: [context, context],
    data: Uint8Array.from({ length: context * context }, (_, index) =>
      Number(index % context <= Math.floor(index / context)),
    ),
  })
  for (let layer = 0; layer < layers; layer++) {
    x = f.add(x, network.project(attention(network, network.layerNorm(x), heads, isPast), width))
    const inner = f.unary('Gelu', network.project(network.layerNorm(x), 4 * width))
    x = f.add(x, network.project(inner, width))
  }
  return network.finish(f.matmul(network.layerNorm(x), f.transposeMatrix(table)))
}

/** Softmax(QKᵀ/√d)·V of each head, heads side by side again. */
function attention(network: Network, x: Value, heads: number, isPast: Value): Value {
  const { f } = network
  const [batch, context, width] = x.shape as [number, number, number]
  const size = width / heads
  const joint = network.project(x, 3 * width)
  const [q, k, v] = [0, 1, 2].map((index) => {
    const part = f.slice(joint, [{ axis: 2, start: index * width, count: width }])
    return f.transpose(f.reshape(part, [batch, context, heads, size]), [0, 2, 1, 3])
  }) as [Value, Value, Value]
  const scores = f.mul(f.matmul(q, f.transposeMatrix(k)), 1 / Math.sqrt(size))
  const masked = f.where(isPast, scores, -1e9)
  const shares = f.unary('Softmax', masked, { axis: int(-1) })
  return f.reshape(f.transpose(f.matmul(shares, v), [0, 2, 1, 3]), x.shape)
}

export interface ResnetSizes {
  /** Blocks of each stage; channels double and the image halves from one to the next. */
  blocks: readonly number[]
  /** Three convolutions a block, the last four times as wide (ResNet-50), or two (ResNet-18). */
  isBottleneck: boolean
  /** Side of the square RGB images. Small ones have a 3×3 stem without pooling, as usual on CIFAR. */
  side: number
  classes: number
}

/** A residual network (He et al., "Deep residual learning", 2016). */
export function resnet(batch: number, { blocks, isBottleneck, side, classes }: ResnetSizes): Uint8Array {
  const network = new Network()
  const { f } = network
  const image = f.builder.input('x', { dtype: 'float32', shape: [batch, 3, side, side] })
  const stem = (kernel: number, stride: number) =>
    network.relu(network.batchNorm(network.conv(image, 64, kernel, { stride })))
  let x = side < 64 ? stem(3, 1) : network.maxPool(stem(7, 2), 3, 2, 1)
  for (const [stage, count] of blocks.entries()) {
    for (let index = 0; index < count; index++) {
      x = residual(network, x, 64 << stage, stage > 0 && index === 0 ? 2 : 1, isBottleneck)
    }
  }
  const pooled = f.builder.emit('GlobalAveragePool', [x], {}, { ...x, shape: [batch, x.shape[1]!, 1, 1] })
  return network.finish(network.linear(f.reshape(pooled, [batch, x.shape[1]!]), classes))
}

function residual(
  network: Network,
  x: Value,
  channels: number,
  stride: number,
  isBottleneck: boolean,
): Value {
  const { f } = network
  const step = (from: Value, to: number, kernel: number, by = 1) =>
    network.batchNorm(network.conv(from, to, kernel, { stride: by }))
  const width = isBottleneck ? 4 * channels : channels
  const first = network.relu(isBottleneck ? step(x, channels, 1) : step(x, channels, 3, stride))
  const inner = isBottleneck
    ? step(network.relu(step(first, channels, 3, stride)), width, 1)
    : step(first, channels, 3)
  const shortcut = x.shape[1] === width && stride === 1 ? x : step(x, width, 1, stride)
  return network.relu(f.add(inner, shortcut))
}

/** Of {@link matmulModel}. */
const matmulSide = 1024

/** What one run of {@link matmulModel} computes. */
export const matmulOperations = 2 * matmulSide ** 3

/**
 * The product of two large square matrices: what a machine can do at best. Only a number goes in (`factor` [1]) and
 * comes out, so that no copy to a device counts.
 */
export function matmulModel(): Uint8Array {
  const f = new Formulas(new GraphBuilder(opset))
  const factor = f.builder.input('factor', { dtype: 'float32', shape: [1] })
  const entries = new Float32Array(matmulSide ** 2).fill(1 / matmulSide)
  const matrix = f.builder.constant(float32Constant(entries, [matmulSide, matmulSide]), 'matrix')
  const product = f.matmul(f.mul(matrix, factor), matrix)
  return writeModel(f.builder.finish({ sum: f.reduceSum(product, [0, 1]) }))
}
