/**
 * Reads an ONNX file into a {@link Model}: opset 11 to 26, IR version up to 13, everything inside the one file.
 *
 * Nothing in the file is trusted: lengths are checked against dimensions, counts against limits, and what this engine
 * cannot carry is refused with the tensor's or value's name. Operators are not judged here (gradients/rules.ts does),
 * so that a file with an unsupported operator can still be described.
 */
import { fromBinary } from '@bufbuild/protobuf'
import { SwarmError } from '../../protocols/core/errors.ts'
import { graphNodesMax, parametersMax, tensorRankMax } from '../../protocols/core/limits.ts'
import { readDetached } from './detached.ts'
import { withoutCalls } from './functions.ts'
import {
  AttributeProto_AttributeType as AttributeKind,
  type AttributeProto,
  TensorProto_DataLocation as DataLocation,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from './generated/onnx_pb.ts'
import type { Attribute, Graph, GraphInput, Model, Node, Subgraph } from './graph.ts'
import {
  type Constant,
  type ElementArray,
  elementTypeOf,
  elementTypes,
  newElements,
  sizeOf,
} from './types.ts'

/** Oldest operator set read: the first in which Clip and Pad take their bounds as inputs, as all later ones do. */
export const opsetMin = 11
/** Newest operator set and IR version that onnxruntime 1.30 loads. */
export const opsetMax = 26
export const irVersionMax = 13

const remedy =
  'Export the model again, for example with torch.onnx.export(..., dynamo=True, external_data=False).'

/**
 * The model in `bytes`, which stay the caller's.
 * @throws {SwarmError} MODEL_INVALID when the bytes are truncated, not ONNX, out of the version range or inconsistent;
 *   MODEL_UNSUPPORTED when a tensor has a type this engine does not carry, or a function another operator set.
 */
export function readModel(bytes: Uint8Array): Model {
  const model = decodeModel(bytes)
  const graph = model.graph!
  const opset = opsetOf(model)
  const inlined = { ...graph, node: [...withoutCalls(model)] }
  return {
    opset,
    graph: readGraph(inlined),
    outputShapes: readOutputShapes(graph),
    roles: readRoles(graph),
    detached: readDetached(inlined.node),
  }
}

/**
 * The protobuf message in `bytes`, checked to hold a graph of a readable version. For callers that change the file in
 * place.
 * @throws {SwarmError} MODEL_INVALID
 */
export function decodeModel(bytes: Uint8Array): ModelProto {
  let model: ModelProto
  try {
    model = fromBinary(ModelProtoSchema, bytes)
  } catch (cause) {
    throw new SwarmError('MODEL_INVALID', `the model file is truncated or not ONNX (${bytes.length} bytes)`, {
      cause,
      hint: 'Check that the file was copied whole; a fresh export is the surest way.',
    })
  }
  if (model.graph === undefined || model.graph.node.length === 0) {
    throw invalid(`the file holds no ONNX graph (${bytes.length} bytes)`)
  }
  if (model.irVersion > BigInt(irVersionMax)) {
    throw invalid(
      `the file has ONNX IR version ${model.irVersion}; versions up to ${irVersionMax} can be read`,
    )
  }
  const nodes = countNodes(model.graph)
  if (nodes > graphNodesMax)
    throw invalid(`the graph has ${nodes} nodes; at most ${graphNodesMax} are accepted`)
  return model
}

/**
 * Nodes of `graph` and of its subgraphs, which nest at most 33 deep: the decoder ends at 100 messages in each other.
 */
function countNodes(graph: GraphProto): number {
  const inner = graph.node.flatMap((node) => node.attribute.flatMap(({ g }) => (g ? [countNodes(g)] : [])))
  return inner.reduce((sum, count) => sum + count, graph.node.length)
}

function opsetOf(model: ModelProto): number {
  const opset = Number(
    model.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version ?? 0n,
  )
  if (opset < opsetMin || opset > opsetMax) {
    throw invalid(`the model uses operator set ${opset}; ${opsetMin} to ${opsetMax} can be read`)
  }
  return opset
}

function readGraph(graph: GraphProto): Graph {
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name, readTensor(tensor)]))
  if (graph.sparseInitializer.length > 0) throw unsupported('the model has sparse tensors')
  return {
    nodes: graph.node.map(readNode),
    constants,
    inputs: graph.input.filter(({ name }) => !constants.has(name)).map(readInput),
    outputs: graph.output.map(({ name }) => name),
  }
}

/** Where torch.onnx's exporter says what a constant was in the module: an entry of its value's metadata. */
const roleKey = 'pkg.torch.export.graph_signature.InputSpec.kind'

function readRoles(graph: GraphProto): Map<string, string> {
  const roles = new Map<string, string>()
  for (const { name, metadataProps } of [...graph.valueInfo, ...graph.input]) {
    const role = metadataProps.find(({ key }) => key === roleKey)
    if (role !== undefined) roles.set(name, role.value)
  }
  return roles
}

function readInput({ name, type }: ValueInfoProto): GraphInput {
  if (type?.value.case !== 'tensorType') throw unsupported(`input '${name}' is not a tensor`)
  const dtype = elementTypeOf(type.value.value.elemType)
  if (dtype === null) throw unsupported(`input '${name}' has element type ${type.value.value.elemType}`)
  const shape = dimensionsOf(name, type)
  if (shape === null) throw invalid(`input '${name}' has no shape`)
  return { name, dtype, shape }
}

function readOutputShapes(graph: GraphProto): Map<string, readonly (number | string)[]> {
  const shapes = graph.output.map(({ name, type }) => [name, dimensionsOf(name, type)] as const)
  return new Map(shapes.filter((entry): entry is [string, (number | string)[]] => entry[1] !== null))
}

function dimensionsOf(name: string, type: ValueInfoProto['type']): (number | string)[] | null {
  const shape = type?.value.case === 'tensorType' ? type.value.value.shape : undefined
  if (shape === undefined) return null
  return shape.dim.map(({ value }, axis) =>
    value.case === 'dimValue' ? Number(value.value) : (value.value ?? `${name}.${axis}`),
  )
}

function readNode(node: NodeProto): Node {
  return {
    opType: node.opType,
    domain: node.domain === 'ai.onnx' ? '' : node.domain,
    name: node.name,
    inputs: node.input,
    outputs: node.output,
    attributes: Object.fromEntries(
      node.attribute.map((attribute) => [attribute.name, readAttribute(attribute)]),
    ),
  }
}

function readAttribute(attribute: AttributeProto): Attribute {
  switch (attribute.type) {
    case AttributeKind.FLOAT:
      return { kind: 'float', value: attribute.f }
    case AttributeKind.INT:
      return { kind: 'int', value: Number(attribute.i) }
    case AttributeKind.STRING:
      return { kind: 'string', value: decodeText(attribute.s) }
    case AttributeKind.FLOATS:
      return { kind: 'floats', value: attribute.floats }
    case AttributeKind.INTS:
      return { kind: 'ints', value: attribute.ints.map(Number) }
    case AttributeKind.STRINGS:
      return { kind: 'strings', value: attribute.strings.map(decodeText) }
    case AttributeKind.TENSOR:
      if (attribute.t === undefined) throw invalid(`attribute '${attribute.name}' has no tensor`)
      return { kind: 'tensor', value: readTensor(attribute.t) }
    case AttributeKind.GRAPH:
      if (attribute.g === undefined) throw invalid(`attribute '${attribute.name}' has no graph`)
      return { kind: 'graph', value: readSubgraph(attribute.g) }
    default:
      return { kind: 'opaque' }
  }
}

function readSubgraph(graph: GraphProto): Subgraph {
  if (graph.sparseInitializer.length > 0) throw unsupported('the model has sparse tensors')
  return {
    nodes: graph.node.map(readNode),
    constants: new Map(graph.initializer.map((tensor) => [tensor.name, readTensor(tensor)])),
    inputs: graph.input.map(({ name }) => name),
    outputs: graph.output.map(({ name }) => name),
  }
}

function readTensor(tensor: TensorProto): Constant {
  const { name } = tensor
  if (tensor.dataLocation === DataLocation.EXTERNAL) {
    throw new SwarmError('MODEL_UNSUPPORTED', `tensor '${name}' lies outside the model file`, {
      hint: remedy,
    })
  }
  const dtype = elementTypeOf(tensor.dataType)
  if (dtype === null) throw unsupported(`tensor '${name}' has element type ${tensor.dataType}`)
  const shape = tensor.dims.map(Number)
  const length = sizeOf(shape)
  if (shape.length > tensorRankMax || shape.some((size) => size < 0) || length > parametersMax) {
    throw invalid(`tensor '${name}' has the shape [${shape}]`)
  }
  const data = tensor.rawData.length > 0 ? fromRaw(tensor, dtype, length) : fromFields(tensor, dtype, length)
  return { dtype, shape, data }
}

function fromRaw({ name, rawData }: TensorProto, dtype: Constant['dtype'], length: number): ElementArray {
  const { array } = elementTypes[dtype]
  if (rawData.length !== length * array.BYTES_PER_ELEMENT) {
    throw invalid(
      `tensor '${name}' holds ${rawData.length} bytes; its shape needs ${length * array.BYTES_PER_ELEMENT}`,
    )
  }
  return new array(rawData.slice().buffer) // a copy: the file's bytes may lie at any alignment
}

function fromFields(tensor: TensorProto, dtype: Constant['dtype'], length: number): ElementArray {
  const fields: Partial<Record<Constant['dtype'], readonly (number | bigint)[]>> = {
    float32: tensor.floatData,
    float64: tensor.doubleData,
    int64: tensor.int64Data,
    uint64: tensor.uint64Data,
    uint32: tensor.uint64Data.map(Number),
  }
  const values = fields[dtype] ?? tensor.int32Data
  if (values.length !== length) {
    throw invalid(`tensor '${tensor.name}' holds ${values.length} elements; its shape needs ${length}`)
  }
  const data = newElements(dtype, length)
  for (const [index, value] of values.entries()) data[index] = value
  return data
}

function decodeText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

function invalid(message: string): SwarmError {
  return new SwarmError('MODEL_INVALID', message, { hint: remedy })
}

function unsupported(message: string): SwarmError {
  return new SwarmError('MODEL_UNSUPPORTED', message, { hint: remedy })
}
