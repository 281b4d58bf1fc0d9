/** Files as PyTorch exports them without open dimensions. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { ModelProtoSchema, TensorShapeProto_DimensionSchema } from '../../../engine/onnx/generated/onnx_pb.ts'

/** The file with the first dimension of its input fixed. */
export function withFixedBatch(bytes: Uint8Array, size: number): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes)
  const type = model.graph!.input[0]!.type!.value
  if (type.case !== 'tensorType') throw new Error('the input is no tensor')
  type.value.shape!.dim[0] = create(TensorShapeProto_DimensionSchema, {
    value: { case: 'dimValue', value: BigInt(size) },
  })
  return toBinary(ModelProtoSchema, model)
}
