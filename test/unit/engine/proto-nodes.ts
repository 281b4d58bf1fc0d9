/** Pieces of model files for tests that need what writeModel does not write. */
import { create } from '@bufbuild/protobuf'
import {
  AttributeProto_AttributeType,
  NodeProtoSchema,
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
