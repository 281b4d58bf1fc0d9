/**
 * Puts trained weights back into the model file they came from: same graph, names and metadata, so that whatever ran
 * the original runs the result. Only tensors that the exporter had merged with equal ones come back as tensors of their
 * own, and what was exported in training mode comes back in inference mode.
 */
import { toBinary } from '@bufbuild/protobuf'
import { SwarmError } from '../protocols/core/errors.ts'
import type { ParameterSpec } from '../protocols/core/tensor.ts'
import { type GraphProto, ModelProtoSchema, type NodeProto } from './onnx/generated/onnx_pb.ts'
import { isHalf, narrowed } from './onnx/half.ts'
import { ownerOf } from './onnx/own-statistics.ts'
import { decodeModel } from './onnx/read.ts'
import { type Constant, elementTypeOf, elementTypes, float32Constant } from './onnx/types.ts'
import { writeTensor } from './onnx/write.ts'

/**
 * `model` (ONNX bytes, borrowed) with the slices of `values`, f32[parameterCount], that `parameters` name as its
 * weights. The caller owns the result.
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
    const position = graph.initializer.findIndex((initializer) => initializer.name === name)
    const copy = graph.node.findIndex(({ opType, output }) => opType === 'Identity' && output[0] === name)
    const owner = ownerOf(graph.node, name)
    const source =
      graph.initializer[position]?.name ?? graph.node[copy]?.input[0] ?? owner?.node.input[owner.index]
    const type = graph.initializer.find((initializer) => initializer.name === source)?.dataType
    const tensor = writeTensor(name, asType(values.slice(offset, offset + length), shape, type))
    if (
      position >= 0 &&
      `${graph.initializer[position]!.dims}` === `${shape}` &&
      offset + length <= values.length
    ) {
      graph.initializer[position] = tensor
    } else if (copy >= 0) {
      graph.node.splice(copy, 1)
      graph.initializer.push(tensor)
    } else if (owner !== null) {
      owner.node.input[owner.index] = name
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
  for (const node of graph.node) {
    if (node.opType === 'BatchNormalization') useStatistics(node, graph)
    // without its third input, training_mode, it lets everything pass
    if (node.opType === 'Dropout') node.input.length = Math.min(node.input.length, 2)
  }
  return toBinary(ModelProtoSchema, file)
}

/**
 * Makes a BatchNormalization that goes by the batch go by its running statistics, if it has any: those of the file's
 * own tensors. Its further outputs, the statistics that training moves, go away with that.
 */
function useStatistics(node: NodeProto, { initializer }: GraphProto): void {
  const mode = node.attribute.find(({ name }) => name === 'training_mode')
  const isTraining = mode === undefined ? node.output.length > 1 : mode.i === 1n // no such mode before set 14
  const isKept = initializer.some(({ name }) => name === node.input[3])
  if (!isTraining || !isKept) return
  if (mode !== undefined) mode.i = 0n
  node.output.length = 1
}

/** `values` in the file's own element type `code`: float32, or a 16-bit float that was widened for training. */
function asType(values: Float32Array, shape: readonly number[], code: number | undefined): Constant {
  const dtype = elementTypeOf(code ?? elementTypes.float32.code)
  if (dtype === null || !isHalf(dtype)) return float32Constant(values, shape)
  return { dtype, shape, data: narrowed(values, dtype) }
}
