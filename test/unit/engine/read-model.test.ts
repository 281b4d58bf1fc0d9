/** Files that are no good: each is refused with a code and a name, none crashes, hangs or slips through. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  FunctionProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataLocation,
} from '../../../engine/onnx/generated/onnx_pb.ts'
import { irVersionMax, opsetMax, opsetMin, readModel } from '../../../engine/onnx/read.ts'
import { int64Constant, toInt64 } from '../../../engine/onnx/types.ts'
import { writeModel } from '../../../engine/onnx/write.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'
import { modelBytes } from './pytorch-models.ts'

const bytes = modelBytes('ties_first.onnx')

/** The file after `change`. */
function changed(change: (model: ModelProto) => void): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes)
  change(model)
  return toBinary(ModelProtoSchema, model)
}

test('a truncated file is refused at every length', () => {
  for (let length = 0; length < bytes.length; length += 7) {
    expect(() => readModel(bytes.subarray(0, length)), `${length} bytes`).toThrow(SwarmError)
  }
})

test('flipped bytes are read or refused with a code, and nothing else', () => {
  const flip = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }))
  fc.assert(
    fc.property(fc.array(flip, { minLength: 1, maxLength: 8 }), (flips) => {
      const copy = bytes.slice()
      for (const [position, mask] of flips) copy[position]! ^= mask
      try {
        readModel(copy)
      } catch (error) {
        expect(error).toBeInstanceOf(SwarmError)
      }
    }),
    { seed: 1, numRuns: 500 },
  )
})

test.each([
  ['text', new TextEncoder().encode('hello, this is no model'), 'MODEL_INVALID'],
  ['nothing', new Uint8Array(), 'MODEL_INVALID'],
  [
    'a newer IR version',
    changed((m) => {
      m.irVersion = BigInt(irVersionMax + 1)
    }),
    'MODEL_INVALID',
  ],
  [
    'an older operator set',
    changed((m) => {
      m.opsetImport[0]!.version = BigInt(opsetMin - 1)
    }),
    'MODEL_INVALID',
  ],
  [
    'a newer operator set',
    changed((m) => {
      m.opsetImport[0]!.version = BigInt(opsetMax + 1)
    }),
    'MODEL_INVALID',
  ],
  [
    'a tensor shorter than its shape',
    changed((m) => {
      m.graph!.initializer[0]!.dims[0] = 9n
    }),
    'MODEL_INVALID',
  ],
  [
    'a tensor of negative size',
    changed((m) => {
      m.graph!.initializer[0]!.dims[0] = -3n
    }),
    'MODEL_INVALID',
  ],
  [
    'a huge tensor',
    changed((m) => {
      m.graph!.initializer[0]!.dims[0] = 1n << 40n
    }),
    'MODEL_INVALID',
  ],
  [
    'a function of another operator set',
    changed((m) => {
      const opsetImport = [{ domain: '', version: 9n }]
      m.functions.push(create(FunctionProtoSchema, { name: 'f', opsetImport }))
    }),
    'MODEL_UNSUPPORTED',
  ],
  [
    'a string tensor',
    changed((m) => {
      m.graph!.initializer[0]!.dataType = 8
    }),
    'MODEL_UNSUPPORTED',
  ],
] as const)('%s is refused', (_, file, code) => {
  expect(() => readModel(file)).toThrow(expect.objectContaining({ name: 'SwarmError', code }))
})

test('weights outside the file are refused by name, with the remedy', () => {
  const file = changed(({ graph }) => {
    const [tensor] = graph!.initializer
    tensor!.dataLocation = TensorProto_DataLocation.EXTERNAL
    tensor!.externalData = [create(StringStringEntryProtoSchema, { key: 'location', value: '../../secret' })]
    tensor!.rawData = new Uint8Array()
  })
  const expected = { code: 'MODEL_UNSUPPORTED', hint: expect.stringContaining('external_data=False') }
  expect(() => readModel(file)).toThrow(expect.objectContaining(expected))
  expect(() => readModel(file)).toThrow('conv.weight')
})

test('a written graph is read back as it was', () => {
  const constants = new Map([
    ['w', { dtype: 'float32' as const, shape: [2], data: Float32Array.of(1.5, -2) }],
    ['i', int64Constant([3, Number.MAX_SAFE_INTEGER, -(2 ** 63), 2 ** 63])],
    ['b', { dtype: 'bool' as const, shape: [1, 2], data: Uint8Array.of(1, 0) }],
  ])
  const attributes = {
    float: { kind: 'float', value: 0.5 },
    int: { kind: 'int', value: -7 },
    text: { kind: 'string', value: 'größer' },
    floats: { kind: 'floats', value: [1, 2.5] },
    ints: { kind: 'ints', value: [1, -2] },
    strings: { kind: 'strings', value: ['a', ''] },
    tensor: { kind: 'tensor', value: { dtype: 'int32', shape: [], data: Int32Array.of(4) } },
  } as const
  const node = { opType: 'Foo', domain: '', name: 'n', inputs: ['x', '', 'w'], outputs: ['y'], attributes }
  const model = readModel(
    writeModel({
      opset: 18,
      nodes: [node],
      constants,
      inputs: new Map([['x', { dtype: 'float32', shape: [4, 2] }]]),
      outputs: new Map([['y', null]]),
    }),
  )
  expect(model.opset).toBe(18)
  expect(model.graph.nodes).toEqual([node])
  expect(model.graph.constants).toEqual(constants)
  expect(model.graph.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: [4, 2] }])
  expect(model.graph.outputs).toEqual(['y'])
})

test('int64 saturates at both ends instead of turning around', () => {
  expect([2 ** 63, -(2 ** 64), 5, -5].map(toInt64)).toEqual([(1n << 63n) - 1n, -(1n << 63n), 5n, -5n])
})
