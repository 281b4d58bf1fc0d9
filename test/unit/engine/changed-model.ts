/** Fixtures with something changed in their file, for tests of what is refused, warned of and left alone. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { type ModelProto, ModelProtoSchema, NodeProtoSchema } from '../../../engine/onnx/generated/onnx_pb.ts'

/** A copy of the model in `bytes` after `change`. */
export function changed(bytes: Uint8Array, change: (model: ModelProto) => void): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes)
  change(model)
  return toBinary(ModelProtoSchema, model)
}

/** Appends a node 'odd one' between `input`, a value of the model, and `output`, which becomes its only output. */
export const addNode = (opType: string, input: string, output: string) => (model: ModelProto) => {
  const { graph } = model
  graph!.node.push(create(NodeProtoSchema, { opType, name: 'odd one', input: [input], output: [output] }))
  graph!.output[0]!.name = output
}
