/**
 * Puts trained weights back into the model file they came from: same graph, names and metadata, so that whatever ran the
 * original runs the result. Only tensors that the exporter had merged with equal ones come back as tensors of their own.
 */
import { toBinary } from '@bufbuild/protobuf'
import { SwarmError } from '../protocols/core/errors.ts'
import type { ParameterSpec } from '../protocols/core/tensor.ts'
import { ModelProtoSchema } from './onnx/generated/onnx_pb.ts'
import { decodeModel } from './onnx/read.ts'
import { float32Constant } from './onnx/types.ts'
import { writeTensor } from './onnx/write.ts'

/**
 * `model` (ONNX bytes, borrowed) with the slices of `values`, f32[parameterCount], that `parameters` name as its weights. The
 * caller owns the result.
 * @throws {SwarmError} MODEL_INVALID for a bad file; STATE_MISMATCH when the file has no such parameter.
 */
export function withParameters(
  model: Uint8Array,
  parameters: readonly ParameterSpec[],
  values: Float32Array,
): Uint8Array {
  const file = decodeModel(model)
  const graph = file.graph!
  for (const { name, shape, offset, length } of parameters) {
    const tensor = writeTensor(name, float32Constant(values.slice(offset, offset + length), shape))
    const position = graph.initializer.findIndex((initializer) => initializer.name === name)
    const copy = graph.node.findIndex(({ opType, output }) => opType === 'Identity' && output[0] === name)
    if (
      position >= 0 &&
      `${graph.initializer[position]!.dims}` === `${shape}` &&
      offset + length <= values.length
    ) {
      graph.initializer[position] = tensor
    } else if (copy >= 0) {
      graph.node.splice(copy, 1)
      graph.initializer.push(tensor)
    } else {
      throw new SwarmError(
        'STATE_MISMATCH',
        `the model file has no parameter '${name}' of shape [${shape}]`,
        {
          hint: 'Use the model file that the job was launched with.',
        },
      )
    }
  }
  return toBinary(ModelProtoSchema, file)
}
