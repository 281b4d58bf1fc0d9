/** Pieces of model files for tests that need what writeModel does not write. */
import { create } from '@bufbuild/protobuf'
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  ValueInfoProtoSchema,
} from '../../../engine/onnx/generated/onnx_pb.ts'

/** A float32 value of a fixed shape, as a graph declares its inputs and outputs. */
export const float32Input = (name: string, shape: readonly number[]) =>
  create(ValueInfoProtoSchema, {
    name,
    type: {
      value: {
        case: 'tensorType',
        value: {
          elemType: 1,
          shape: {
            dim: shape.map((size) =>
              create(TensorShapeProto_DimensionSchema, { value: { case: 'dimValue', value: BigInt(size) } }),
            ),
          },
        },
      },
    },
  })

/** A node with one output, which names it, and integer attributes. */
export const node = (
  opType: string,
  input: string[],
  output: string,
  attributes: Readonly<Record<string, number>> = {},
) =>
  create(NodeProtoSchema, {
    opType,
    name: output,
    input,
    output: [output],
    attribute: Object.entries(attributes).map(([name, value]) => ({
      name,
      type: AttributeProto_AttributeType.INT,
      i: BigInt(value),
    })),
  })

/** A float32 tensor of one element. */
export const float = (name: string, value: number) =>
  create(TensorProtoSchema, { name, dataType: 1, dims: [1n], floatData: [value] })
/** An int64 scalar. */
export const count = (name: string, value: number) =>
  create(TensorProtoSchema, { name, dataType: 7, int64Data: [BigInt(value)] })
/** A truth value. */
export const truth = (name: string, value: boolean) =>
  create(TensorProtoSchema, { name, dataType: 9, int32Data: [Number(value)] })

/** The graph `name` of a node, from `inputs` to `outputs`: floats, but a loop's `turn` and whether it is `on`. */
export function subgraph(
  name: string,
  inputs: readonly string[],
  nodes: NodeProto[],
  outputs: readonly string[],
  initializer: TensorProto[] = [],
): AttributeProto {
  const types: Readonly<Record<string, number>> = { turn: 7, on: 9 }
  const input = inputs.map((one) => {
    const tensorType = { elemType: types[one] ?? 1, shape: {} }
    return { name: one, type: { value: { case: 'tensorType' as const, value: tensorType } } }
  })
  const output = outputs.map((one) => ({ name: one }))
  const g = create(GraphProtoSchema, { name, input, node: nodes, output, initializer })
  return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.GRAPH, g })
}

/** A node with any outputs, named after them, and attributes that are graphs. */
export function holder(
  opType: string,
  input: string[],
  output: string[],
  attribute: AttributeProto[],
): NodeProto {
  return create(NodeProtoSchema, { opType, name: `${opType} ${output}`, input, output, attribute })
}
