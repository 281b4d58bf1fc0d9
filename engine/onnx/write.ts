/**
 * Writes graphs as ONNX files, and new weights into existing ones.
 *
 * Written graphs declare types only for their inputs and typed outputs: onnxruntime infers the rest. IR version 8 is
 * the oldest that operator set 18 may stand in, and every runtime since ONNX 1.13 reads it.
 */
import { create, toBinary } from '@bufbuild/protobuf'
import { SwarmError } from '../../protocols/core/errors.ts'
import {
  AttributeProto_AttributeType as AttributeKind,
  type AttributeProto,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './generated/onnx_pb.ts'
import type { Attribute, Node } from './graph.ts'
import { type Constant, elementTypes, type TensorType, toInt64 } from './types.ts'

/** A graph ready to be written. An output without a type is left to the runtime's shape inference. */
export interface WritableGraph {
  readonly opset: number
  readonly nodes: readonly Node[]
  readonly constants: ReadonlyMap<string, Constant>
  readonly inputs: ReadonlyMap<string, TensorType>
  readonly outputs: ReadonlyMap<string, TensorType | null>
}

const irVersion = 8n

/**
 * `graph` as the bytes of an ONNX file; the caller owns them.
 * @throws {SwarmError} MODEL_UNSUPPORTED for an attribute that no operator here has: branches and bodies are gone by now.
 */
export function writeModel(graph: WritableGraph): Uint8Array {
  const opsets = new Map([['', graph.opset]])
  for (const { domain } of graph.nodes) if (!opsets.has(domain)) opsets.set(domain, 1)
  const model = create(ModelProtoSchema, {
    irVersion,
    producerName: 'starling',
    opsetImport: [...opsets].map(([domain, version]) =>
      create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }),
    ),
    graph: create(GraphProtoSchema, {
      name: 'starling',
      node: writeNodes(graph.nodes),
      initializer: [...graph.constants].map(([name, constant]) => writeTensor(name, constant)),
      input: [...graph.inputs].map(([name, type]) => writeValue(name, type)),
      output: [...graph.outputs].map(([name, type]) => writeValue(name, type)),
    }),
  })
  return toBinary(ModelProtoSchema, model)
}

/** `constant` as an initializer named `name`; its bytes are copied. */
export function writeTensor(name: string, { dtype, shape, data }: Constant): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dims: shape.map(BigInt),
    dataType: elementTypes[dtype].code,
    rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice(),
  })
}

/** `nodes`, of which onnxruntime takes no two of one name: a later one has none, which nothing needs. */
function writeNodes(nodes: readonly Node[]) {
  const taken = new Set<string>()
  return nodes.map((node) => {
    const isTaken = taken.has(node.name)
    taken.add(node.name)
    return writeNode(isTaken ? { ...node, name: '' } : node)
  })
}

function writeNode({ opType, domain, name, inputs, outputs, attributes }: Node) {
  return create(NodeProtoSchema, {
    opType,
    domain,
    name,
    input: [...inputs],
    output: [...outputs],
    attribute: Object.entries(attributes).map(([key, attribute]) => writeAttribute(key, attribute)),
  })
}

function writeAttribute(name: string, attribute: Attribute): AttributeProto {
  switch (attribute.kind) {
    case 'float':
      return create(AttributeProtoSchema, { name, type: AttributeKind.FLOAT, f: attribute.value })
    case 'int':
      return create(AttributeProtoSchema, { name, type: AttributeKind.INT, i: toInt64(attribute.value) })
    case 'string':
      return create(AttributeProtoSchema, {
        name,
        type: AttributeKind.STRING,
        s: encodeText(attribute.value),
      })
    case 'floats':
      return create(AttributeProtoSchema, { name, type: AttributeKind.FLOATS, floats: [...attribute.value] })
    case 'ints':
      return create(AttributeProtoSchema, {
        name,
        type: AttributeKind.INTS,
        ints: attribute.value.map(toInt64),
      })
    case 'strings':
      return create(AttributeProtoSchema, {
        name,
        type: AttributeKind.STRINGS,
        strings: attribute.value.map(encodeText),
      })
    case 'tensor':
      return create(AttributeProtoSchema, {
        name,
        type: AttributeKind.TENSOR,
        t: writeTensor('', attribute.value),
      })
    case 'graph':
    case 'opaque':
      throw new SwarmError('MODEL_UNSUPPORTED', `attribute '${name}' holds a graph, or what is no tensor`, {
        hint: 'Check the file with onnx.checker.check_model(path).',
      })
  }
}

function writeValue(name: string, type: TensorType | null): ValueInfoProto {
  if (type === null) return create(ValueInfoProtoSchema, { name })
  const shape = create(TensorShapeProtoSchema, {
    dim: type.shape.map((size) =>
      create(TensorShapeProto_DimensionSchema, { value: { case: 'dimValue', value: BigInt(size) } }),
    ),
  })
  const tensorType = create(TypeProto_TensorSchema, { elemType: elementTypes[type.dtype].code, shape })
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value: tensorType } }),
  })
}

function encodeText(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}
