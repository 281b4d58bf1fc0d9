/**
 * Models that quantisation left its marks in. Weights that a file stores as whole numbers stay as they are, and what is
 * real beside them trains; a model that rounds its own values to whole numbers is refused.
 */
import { create, fromBinary } from '@bufbuild/protobuf'
import { beforeAll, expect, test } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { validate } from '../../../engine/model/validate.ts'
import {
  AttributeProto_AttributeType,
  type GraphProto,
  ModelProtoSchema,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from '../../../engine/onnx/generated/onnx_pb.ts'
import { readModel } from '../../../engine/onnx/read.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import type { TrainingSpec } from '../../../engine/program/training-program.ts'
import { changed } from './changed-model.ts'
import { feedsOf, modelBytes, pytorchModels } from './pytorch-models.ts'

const spec: TrainingSpec = {
  batch: 3,
  loss: 'softmax_cross_entropy',
  optimizer: { kind: 'sgd', momentum: 0, weightDecay: 0 },
}

const model = pytorchModels.ties_first!

let backend: Backend
beforeAll(async () => {
  backend = await openNativeBackend({ threads: 1 })
})

const changedGraph = (change: (graph: GraphProto) => void) =>
  changed(modelBytes(model.file), ({ graph }) => change(graph!))

const float32Tensor = (name: string, dims: number[], values: readonly number[]): TensorProto =>
  create(TensorProtoSchema, { name, dataType: 1, dims: dims.map(BigInt), floatData: [...values] })

/** 'fc.weight' of the model in int8, by a scale for each of its rows or one for all. */
function stored(scales: 'one' | 'rows') {
  const { dims, rawData } = fromBinary(ModelProtoSchema, modelBytes(model.file)).graph!.initializer.find(
    ({ name }) => name === 'fc.weight',
  )!
  const weights = new Float32Array(rawData.slice().buffer)
  const count = scales === 'one' ? 1 : Number(dims[0])
  const scale = Float32Array.from({ length: count }, (_, row) => 0.01 + 0.001 * row)
  const scaleOf = (index: number) => scale[Math.floor((index * count) / weights.length)]!
  const values = Int8Array.from(weights, (weight, index) => Math.round(weight / scaleOf(index)))
  return { dims, scale, values, floats: Float32Array.from(values, (value, index) => value * scaleOf(index)) }
}

/** What weight-only quantisers write. */
const integerWeights = (scales: 'one' | 'rows') =>
  changedGraph((graph) => {
    const { dims, scale, values } = stored(scales)
    const place = graph.initializer.findIndex(({ name }) => name === 'fc.weight')
    const integers = { name: 'fc.stored', dataType: 3, dims, rawData: new Uint8Array(values.buffer) }
    const scaleDims = scales === 'one' ? [] : [scale.length]
    graph.initializer.splice(
      place,
      1,
      create(TensorProtoSchema, integers),
      float32Tensor('fc.scale', scaleDims, [...scale]),
    )
    const axis = { name: 'axis', type: AttributeProto_AttributeType.INT, i: 0n }
    graph.node.unshift(
      create(NodeProtoSchema, {
        opType: 'DequantizeLinear',
        name: 'widen',
        input: ['fc.stored', 'fc.scale'],
        output: ['fc.weight'],
        attribute: scales === 'one' ? [] : [axis],
      }),
    )
  })

/** The same model with the values that those integers stand for. */
const dequantised = (scales: 'one' | 'rows') =>
  changedGraph((graph) => {
    const { floats } = stored(scales)
    graph.initializer.find(({ name }) => name === 'fc.weight')!.rawData = new Uint8Array(floats.buffer)
  })

const gradientsOf = async (file: Uint8Array, freeze: string[]) => {
  const program = await compileProgram(file, { ...spec, loss: model.loss_kind, freeze }, backend)
  const graph = await backend.compile(program.gradientModel)
  const results = await graph.run(feedsOf(model, program))
  await graph.release()
  const operators = readModel(program.gradientModel).graph.nodes.map(({ opType }) => opType)
  return { names: program.parameters.map(({ name }) => name), results, operators }
}

test.each(['one', 'rows'] as const)(
  'weights in int8 with a scale for %s stay as they are, and what is real beside them trains as if they were frozen floats',
  async (scales) => {
    const { names, results, operators } = await gradientsOf(integerWeights(scales), [])
    const floats = await gradientsOf(dequantised(scales), ['fc.weight'])
    expect(names).toEqual(['conv.weight', 'conv.bias', 'fc.bias'])
    expect(results).toEqual(floats.results)
    expect(operators).not.toContain('DequantizeLinear')
    expect(Math.max(...results.gradient!.data)).toBeGreaterThan(1e-3)
    expect(validate(integerWeights(scales)).notes).toEqual([
      '1 tensors are stored as integers (DequantizeLinear): they stay as they are, with their scales',
    ])
  },
)

test('a model that rounds its activations to integers is refused, and says where to go back to', async () => {
  const rounding = changedGraph((graph) => {
    const y = graph.output[0]!.name
    graph.initializer.push(float32Tensor('scale', [], [0.1]))
    graph.node.push(
      create(NodeProtoSchema, {
        opType: 'QuantizeLinear',
        name: 'round',
        input: [y, 'scale'],
        output: ['q'],
      }),
      create(NodeProtoSchema, {
        opType: 'DequantizeLinear',
        name: 'widen',
        input: ['q', 'scale'],
        output: ['z'],
      }),
    )
    graph.output[0]!.name = 'z'
  })
  await expect(compileProgram(rounding, spec, backend)).rejects.toMatchObject({
    code: 'MODEL_UNSUPPORTED',
    message: expect.stringMatching(
      /QuantizeLinear \(node 'round'\): .*\nDequantizeLinear \(node 'widen'\): /,
    ),
    hint: expect.stringContaining('before quantisation'),
  })
})
