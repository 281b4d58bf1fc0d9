/**
 * A model with many parameters and little arithmetic: two linear layers on glyphs. Its training step costs milliseconds
 * and its average megabytes, so that a round is mostly a reduce.
 */

import { fromBinary, toBinary } from '@bufbuild/protobuf'
import { ModelProtoSchema } from '../../../engine/onnx/generated/onnx_pb.ts'
import { int } from '../../../engine/onnx/graph.ts'
import { float32Constant } from '../../../engine/onnx/types.ts'
import { writeModel } from '../../../engine/onnx/write.ts'
import { seededRandom } from '../../../protocols/core/random.ts'

const pixels = 28 * 28
const classes = 10

/** Parameters of the model with `width` hidden units. */
export const wideModelParameters = (width: number): number => (pixels + 1) * width + (width + 1) * classes

/** The ONNX file: `image` f32[batch, 784] → `logits` f32[batch, 10], with an open batch. */
export function wideModel(width: number): Uint8Array {
  const random = seededRandom(1)
  // uniform within 1/√inputs, as PyTorch begins a linear layer
  const uniform = (shape: readonly number[], inputs: number) => {
    const length = shape.reduce((product, size) => product * size, 1)
    const values = Float32Array.from({ length }, () => (2 * random.next() - 1) / Math.sqrt(inputs))
    return float32Constant(values, shape)
  }
  const linear = (name: string, input: string, output: string) => ({
    opType: 'Gemm',
    domain: '',
    name,
    inputs: [input, `${name}.weight`, `${name}.bias`],
    outputs: [output],
    attributes: { transB: int(1) },
  })
  const relu = { opType: 'Relu', domain: '', name: 'relu', inputs: ['hidden'], outputs: ['active'] }
  const bytes = writeModel({
    opset: 18,
    nodes: [linear('fc1', 'image', 'hidden'), { ...relu, attributes: {} }, linear('fc2', 'active', 'logits')],
    constants: new Map([
      ['fc1.weight', uniform([width, pixels], pixels)],
      ['fc1.bias', uniform([width], pixels)],
      ['fc2.weight', uniform([classes, width], width)],
      ['fc2.bias', uniform([classes], width)],
    ]),
    inputs: new Map([['image', { dtype: 'float32', shape: [1, pixels] }]]),
    outputs: new Map([['logits', null]]),
  })
  return withOpenBatch(bytes)
}

/** Our writer knows fixed dimensions only. */
function withOpenBatch(bytes: Uint8Array): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes)
  const type = model.graph!.input[0]!.type!.value
  if (type.case !== 'tensorType') throw new Error('the input is no tensor')
  type.value.shape!.dim[0]!.value = { case: 'dimParam', value: 'batch' }
  return toBinary(ModelProtoSchema, model)
}
