/** How many samples the coordinator evaluates at once. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { expect, test } from 'vitest'
import { ModelProtoSchema, TensorShapeProto_DimensionSchema } from '../../../engine/onnx/generated/onnx_pb.ts'
import { evaluationBatch } from '../../../node/measure.ts'
import { modelBytes } from '../engine/pytorch-models.ts'

/** The file with its first dimension fixed. */
function withFixedBatch(bytes: Uint8Array, size: number): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes)
  const type = model.graph!.input[0]!.type!.value
  if (type.case !== 'tensorType') throw new Error('the input is no tensor')
  type.value.shape!.dim[0] = create(TensorShapeProto_DimensionSchema, {
    value: { case: 'dimValue', value: BigInt(size) },
  })
  return toBinary(ModelProtoSchema, model)
}

test('a graph that was exported for a batch of its own is evaluated in that batch', () => {
  const open = modelBytes('mlp_torchscript.onnx')
  expect(evaluationBatch(withFixedBatch(open, 3))).toBe(3)
  expect(evaluationBatch(open)).toBe(256)
})
