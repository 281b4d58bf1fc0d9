/**
 * Puts trained weights back into the model file they came from: same graph, names and metadata, so that whatever ran the
 * original runs the result.
 */
import { toBinary } from '@bufbuild/protobuf'
import { SwarmError } from '../protocols/core/errors.ts'
import { gradientFlows } from './gradients/rules.ts'
import { ModelProtoSchema } from './onnx/generated/onnx_pb.ts'
import { prepare } from './onnx/import-model.ts'
import { decodeModel, readModel } from './onnx/read.ts'
import { float32Constant } from './onnx/types.ts'
import { writeTensor } from './onnx/write.ts'

/**
 * `model` (ONNX bytes, borrowed) with `parameters`, f32[parameterCount] in the order of the file, as its weights. The caller
 * owns the result. `outputName`: as the training specification chose it.
 * @throws {SwarmError} as `compileProgram` for a bad file; STATE_MISMATCH when the number of parameters differs.
 */
export function withParameters(
  model: Uint8Array,
  parameters: Float32Array,
  { outputName }: { outputName?: string } = {},
): Uint8Array {
  const prepared = prepare(readModel(model), gradientFlows, outputName)
  const file = decodeModel(model)
  const positions = new Map(file.graph!.initializer.map(({ name }, index) => [name, index]))
  let offset = 0
  for (const [name, { shape, data }] of prepared.parameters) {
    const values = parameters.slice(offset, offset + data.length)
    offset += data.length
    if (values.length < data.length) break
    file.graph!.initializer[positions.get(name)!] = writeTensor(name, float32Constant(values, shape))
  }
  if (offset !== parameters.length) {
    throw new SwarmError(
      'STATE_MISMATCH',
      `the model has other parameters than the ${parameters.length} given`,
      {
        hint: 'Use the model file that the job was launched with.',
      },
    )
  }
  return toBinary(ModelProtoSchema, file)
}
