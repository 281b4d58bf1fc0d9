/**
 * Tiny ONNX models for the backend suite, written by hand so that a failure points at the backend and not at the
 * engine.
 */
import { create, toBinary } from '@bufbuild/protobuf'
import { AttributeProto_AttributeType, ModelProtoSchema } from '../../engine/onnx/generated/onnx_pb.ts'

const dtypes = { float32: 1, int32: 6, int64: 7 } as const

export interface ValueSpec {
  dtype: keyof typeof dtypes
  shape: readonly (number | string)[]
}

export interface NodeSpec {
  op: string
  name?: string
  inputs: string[]
  outputs: string[]
  /** Integers and lists of them only. */
  attributes?: Record<string, number | readonly number[]>
}

/** The bytes of a model. Outputs are untyped: the runtime infers their types. `constants`: int64 vectors. */
export function model(graph: {
  inputs?: Record<string, ValueSpec>
  outputs: string[]
  nodes: NodeSpec[]
  constants?: Record<string, number[]>
}): Uint8Array {
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: 8n,
      opsetImport: [{ domain: '', version: 18n }],
      graph: {
        name: 'test',
        node: graph.nodes.map(({ op, name, inputs, outputs, attributes }) => ({
          opType: op,
          name,
          input: inputs,
          output: outputs,
          attribute: Object.entries(attributes ?? {}).map(([key, value]) =>
            typeof value === 'number'
              ? { name: key, type: AttributeProto_AttributeType.INT, i: BigInt(value) }
              : { name: key, type: AttributeProto_AttributeType.INTS, ints: value.map(BigInt) },
          ),
        })),
        input: Object.entries(graph.inputs ?? {}).map(([name, { dtype, shape }]) => ({
          name,
          type: {
            value: {
              case: 'tensorType' as const,
              value: { elemType: dtypes[dtype], shape: { dim: shape.map(dimension) } },
            },
          },
        })),
        output: graph.outputs.map((name) => ({ name })),
        initializer: Object.entries(graph.constants ?? {}).map(([name, values]) => ({
          name,
          dataType: dtypes.int64,
          dims: [BigInt(values.length)],
          int64Data: values.map(BigInt),
        })),
      },
    }),
  )
}

function dimension(size: number | string) {
  return typeof size === 'string'
    ? { value: { case: 'dimParam' as const, value: size } }
    : { value: { case: 'dimValue' as const, value: BigInt(size) } }
}
