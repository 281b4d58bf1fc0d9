/**
 * A model's weights as a safetensors file, byte for byte as the format's own library (0.8, `serialize`) writes them.
 */

import { expect, test } from 'vitest'
import { safetensorsOf } from '../../../engine/model/safetensors.ts'
import { writeModel } from '../../../engine/onnx/write.ts'

test('real tensors are written under their names, the widest first, without gaps; shapes and axes are not', () => {
  const model = writeModel({
    opset: 18,
    nodes: [
      { name: 'sum', opType: 'Add', domain: '', inputs: ['x', 'fc.bias'], outputs: ['y'], attributes: {} },
    ],
    constants: new Map([
      ['scale', { dtype: 'float16', shape: [], data: Uint16Array.of(0x3c00) }],
      ['axes', { dtype: 'int64', shape: [1], data: BigInt64Array.of(1n) }],
      ['fc.weight', { dtype: 'float32', shape: [1, 2], data: Float32Array.of(1, -2) }],
      ['fc.bias', { dtype: 'float32', shape: [2], data: Float32Array.of(0.5, 0) }],
    ]),
    inputs: new Map([['x', { dtype: 'float32', shape: [1, 2] }]]),
    outputs: new Map([['y', null]]),
  })
  const header =
    '{"__metadata__":{"format":"pt"},' +
    '"fc.bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},' +
    '"fc.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]},' +
    '"scale":{"dtype":"F16","shape":[],"data_offsets":[16,18]}}'
  const padded = header.padEnd(8 * Math.ceil(header.length / 8))
  const values = '0000003f 00000000 0000803f 000000c0 003c'
  expect(Buffer.from(safetensorsOf(model)).toString('hex')).toBe(
    Buffer.of(padded.length, 0, 0, 0, 0, 0, 0, 0).toString('hex') +
      Buffer.from(padded).toString('hex') +
      values.replaceAll(' ', ''),
  )
})

test('integers with a scale are written beside it, so that nothing learnt is left out', () => {
  const stored = ['fc.stored', 'fc.scale', 'fc.zero']
  const model = writeModel({
    opset: 18,
    nodes: [
      { name: 'w', opType: 'DequantizeLinear', domain: '', inputs: stored, outputs: ['w'], attributes: {} },
      { name: 'sum', opType: 'Add', domain: '', inputs: ['x', 'w'], outputs: ['y'], attributes: {} },
    ],
    constants: new Map([
      ['fc.stored', { dtype: 'int8', shape: [2], data: Int8Array.of(-3, 5) }],
      ['fc.scale', { dtype: 'float32', shape: [], data: Float32Array.of(0.5) }],
      ['fc.zero', { dtype: 'int8', shape: [], data: Int8Array.of(1) }],
    ]),
    inputs: new Map([['x', { dtype: 'float32', shape: [1, 2] }]]),
    outputs: new Map([['y', null]]),
  })
  const file = Buffer.from(safetensorsOf(model))
  const start = 8 + Number(file.readBigUInt64LE())
  expect(JSON.parse(file.toString('utf8', 8, start))).toEqual({
    __metadata__: { format: 'pt' },
    'fc.scale': { dtype: 'F32', shape: [], data_offsets: [0, 4] },
    'fc.stored': { dtype: 'I8', shape: [2], data_offsets: [4, 6] },
    'fc.zero': { dtype: 'I8', shape: [], data_offsets: [6, 7] },
  })
  expect(file.toString('hex', start)).toBe('0000003ffd0501')
})
