/**
 * Puts trained weights back into the model file they came from: same graph, names and metadata, so that whatever ran the
 * original runs the result.
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
  const initializers = file.graph!.initializer
  const positions = new Map(initializers.map(({ name }, index) => [name, index]))
  for (const { name, shape, offset, length } of parameters) {
    const position = positions.get(name)
    const slice = values.slice(offset, offset + length)
    if (
      position === undefined ||
      `${initializers[position]!.dims}` !== `${shape}` ||
      slice.length !== length
    ) {
      throw new SwarmError(
        'STATE_MISMATCH',
        `the model file has no parameter '${name}' of shape [${shape}]`,
        {
          hint: 'Use the model file that the job was launched with.',
        },
      )
    }
    initializers[position] = writeTensor(name, float32Constant(slice, shape))
  }
  return toBinary(ModelProtoSchema, file)
}
