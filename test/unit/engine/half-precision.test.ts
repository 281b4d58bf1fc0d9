/** Models of 16-bit floats: trained in float32, given back in their own type. */
import { fromBinary, toBinary } from '@bufbuild/protobuf'
import { expect, test } from 'vitest'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { withParameters } from '../../../engine/model/with-parameters.ts'
import { ModelProtoSchema } from '../../../engine/onnx/generated/onnx_pb.ts'
import { narrowed, widened } from '../../../engine/onnx/half.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import { modelBytes } from './pytorch-models.ts'

test('widening is exact, and narrowing rounds to the nearest, ties to even', () => {
  expect([...widened(Uint16Array.of(0x3c01, 0xc000, 0x7c00), 'float16')]).toEqual([
    1 + 2 ** -10,
    -2,
    Infinity,
  ])
  expect([...widened(Uint16Array.of(0x3f81, 0xc000), 'bfloat16')]).toEqual([1 + 2 ** -7, -2])
  const ties = Float32Array.of(1 + 2 ** -11, 1 + 3 * 2 ** -11, 1e6, Number.NaN)
  expect([...narrowed(ties, 'float16').subarray(0, 3)]).toEqual([0x3c00, 0x3c02, 0x7c00])
  const coarse = Float32Array.of(1 + 2 ** -8, 1 + 3 * 2 ** -8, -3.4e38, Number.NaN)
  expect([...narrowed(coarse, 'bfloat16')]).toEqual([0x3f80, 0x3f82, 0xff80, 0x7fc0])
})

test.each(['float16', 'bfloat16'] as const)(
  'a weight in %s trains in float32 and is exported as it was',
  async (dtype) => {
    const file = fromBinary(ModelProtoSchema, modelBytes('ties_first.onnx'))
    const tensor = file.graph!.initializer.find(({ name }) => name === 'fc.weight')!
    const bits = narrowed(new Float32Array(tensor.rawData.slice().buffer), dtype)
    tensor.dataType = dtype === 'float16' ? 10 : 16
    tensor.rawData = new Uint8Array(bits.buffer)
    const model = toBinary(ModelProtoSchema, file)
    const spec = {
      batch: 3,
      loss: 'softmax_cross_entropy',
      optimizer: { kind: 'sgd', momentum: 0, weightDecay: 0 },
    } as const
    const { parameters, initial } = await compileProgram(model, spec, await openNativeBackend({ threads: 1 }))
    const weight = parameters.find(({ name }) => name === 'fc.weight')!
    expect(initial.subarray(weight.offset, weight.offset + weight.length)).toEqual(widened(bits, dtype))
    const again = fromBinary(ModelProtoSchema, withParameters(model, parameters, initial))
    expect(again.graph!.initializer.find(({ name }) => name === 'fc.weight')).toEqual(tensor)
  },
)
