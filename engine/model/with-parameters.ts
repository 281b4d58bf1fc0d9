/**
 * Puts trained weights back into the model file they came from: same graph, names and metadata, so that whatever ran
 * the original runs the result. Only tensors that the exporter had merged with equal ones come back as tensors of their
 * own, what was exported in training mode comes back in inference mode, and operators stand in the place of calls of
 * the file's own functions.
 */
import { toBinary } from '@bufbuild/protobuf'
import { SwarmError } from '../../protocols/core/errors.ts'
import type { ParameterSpec } from '../../protocols/core/tensor.ts'
import { ownerOf } from '../import/own-statistics.ts'
import { withoutCalls } from '../onnx/functions.ts'
import {
  type GraphProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
} from '../onnx/generated/onnx_pb.ts'
import { isHalf, narrowed } from '../onnx/half.ts'
import { decodeModel } from '../onnx/read.ts'
import { type Constant, elementTypeOf, elementTypes, float32Constant } from '../onnx/types.ts'
import { writeTensor } from '../onnx/write.ts'

/**
 * `model` (ONNX bytes, borrowed) with the slices of `values`, f32[parameterCount], that `parameters` name as its
 * weights. The caller owns the result.
 * @throws {SwarmError} as {@link decodeModel} for a bad file; STATE_MISMATCH when the file has no such parameter.
 */
export function withParameters(
  model: Uint8Array,
  parameters: readonly ParameterSpec[],
  values: Float32Array,
): Uint8Array {
  const file = decodeModel(model)
  const graph = file.graph!
  // a function is one for all of its calls, and each call has statistics and a mode of its own
  graph.node = [...withoutCalls(file)]
  file.functions = []
  for (const parameter of parameters) setParameter(graph, parameter, values)
  for (const node of graph.node) {
    if (node.opType === 'BatchNormalization') useStatistics(node, graph)
    // without its third input, training_mode, it lets everything pass
    if (node.opType === 'Dropout') node.input.length = Math.min(node.input.length, 2)
  }
  return toBinary(ModelProtoSchema, file)
}

/** Puts what `values` hold of a parameter in the place of the tensor in `graph`, or of what it was merged with. */
function setParameter(graph: GraphProto, parameter: ParameterSpec, values: Float32Array): void {
  const { name, shape, offset, length } = parameter
  const place = placeOf(graph, parameter)
  if (place === null || offset + length > values.length) {
    throw new SwarmError('STATE_MISMATCH', `the model file has no parameter '${name}' of shape [${shape}]`, {
      hint: 'Use the model file that the job was launched with.',
    })
  }
  const type = graph.initializer.find((initializer) => initializer.name === place.source)?.dataType
  place.put(writeTensor(name, asType(values.slice(offset, offset + length), shape, type)))
}

/** Where a parameter stands in a graph. */
interface Place {
  /** Name of the initializer that it has its type from. */
  source: string | undefined
  /** Makes a tensor stand there. */
  put(tensor: TensorProto): void
}

/**
 * An initializer; or what exporters merged with an equal one, an Identity of it or an input of a BatchNormalization.
 * null when there is neither.
 */
function placeOf({ initializer, node }: GraphProto, { name, shape }: ParameterSpec): Place | null {
  const position = initializer.findIndex((tensor) => tensor.name === name)
  const found = initializer[position]
  if (found !== undefined && `${found.dims}` === `${shape}`) {
    return {
      source: name,
      put(tensor) {
        initializer[position] = tensor
      },
    }
  }
  const copy = node.findIndex(({ opType, output }) => opType === 'Identity' && output[0] === name)
  if (copy >= 0) {
    return {
      source: node[copy]!.input[0],
      put(tensor) {
        node.splice(copy, 1)
        initializer.push(tensor)
      },
    }
  }
  const owner = ownerOf(node, name)
  if (owner === null) return null
  return {
    source: owner.node.input[owner.index],
    put(tensor) {
      owner.node.input[owner.index] = name
      initializer.push(tensor)
    },
  }
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
  // not set: another call of the same function may have the attribute too, and no statistics
  node.attribute = node.attribute.filter((attribute) => attribute !== mode)
  node.output.length = 1
}

/** `values` in the file's own element type `code`: float32, or a 16-bit float that was widened for training. */
function asType(values: Float32Array, shape: readonly number[], code: number | undefined): Constant {
  const dtype = elementTypeOf(code ?? elementTypes.float32.code)
  if (dtype === null || !isHalf(dtype)) return float32Constant(values, shape)
  return { dtype, shape, data: narrowed(values, dtype) }
}
