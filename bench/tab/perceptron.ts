/**
 * The model of the measurement: a multilayer perceptron 784-512-256-10 with ReLU, as an ONNX file, weights from a seed.
 */

import { int } from '../../engine/onnx/graph.ts'
import { float32Constant } from '../../engine/onnx/types.ts'
import { writeModel } from '../../engine/onnx/write.ts'
import { seededRandom } from '../../protocols/core/random.ts'

/** Neurons of each layer, the input first. */
export const widths = [784, 512, 256, 10] as const

/** Samples of one step. */
export const batch = 128

/** `image` f32[batch, 784] → `logits` f32[batch, 10]. Weights as He et al. draw them (2015), biases small. */
export function perceptron(): Uint8Array {
  const random = seededRandom(1)
  const normal = (shape: readonly number[], scale: number) => {
    const length = shape.reduce((product, size) => product * size, 1)
    return float32Constant(
      Float32Array.from({ length }, () => scale * random.normal()),
      shape,
    )
  }
  const last = widths.length - 2
  const layers = widths.slice(1).map((to, layer) => {
    const from = widths[layer]!
    const constants: [string, ReturnType<typeof normal>][] = [
      [`fc${layer}.weight`, normal([to, from], Math.sqrt(2 / from))],
      [`fc${layer}.bias`, normal([to], 0.01)],
    ]
    const sum = layer === last ? 'logits' : `sum${layer}`
    const gemm = {
      opType: 'Gemm',
      domain: '',
      name: `fc${layer}`,
      inputs: [layer === 0 ? 'image' : `active${layer - 1}`, `fc${layer}.weight`, `fc${layer}.bias`],
      outputs: [sum],
      attributes: { transB: int(1) },
    }
    const relu = {
      opType: 'Relu',
      domain: '',
      name: `relu${layer}`,
      inputs: [sum],
      outputs: [`active${layer}`],
      attributes: {},
    }
    return { constants, nodes: layer === last ? [gemm] : [gemm, relu] }
  })
  return writeModel({
    opset: 18,
    nodes: layers.flatMap(({ nodes }) => nodes),
    constants: new Map(layers.flatMap(({ constants }) => constants)),
    inputs: new Map([['image', { dtype: 'float32', shape: [batch, widths[0]] }]]),
    outputs: new Map([['logits', null]]),
  })
}
