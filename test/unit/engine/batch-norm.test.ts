/** Running statistics as files hold them: shared by accident or on purpose, frozen by one value, written back. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { beforeAll, expect, test } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { withParameters } from '../../../engine/model/with-parameters.ts'
import {
  AttributeProtoSchema,
  FunctionProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
} from '../../../engine/onnx/generated/onnx_pb.ts'
import { int, type Node } from '../../../engine/onnx/graph.ts'
import { type Constant, int64Constant } from '../../../engine/onnx/types.ts'
import { writeModel } from '../../../engine/onnx/write.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import type { TrainingSpec } from '../../../engine/program/training-program.ts'
import { Trainer } from '../../../engine/training/trainer.ts'
import { seededRandom } from '../../../protocols/core/random.ts'
import { modelBytes, pytorchModels, relativeError } from './pytorch-models.ts'

const cnn = pytorchModels.cnn_dynamo!
const file = modelBytes(cnn.file)
const spec: TrainingSpec = {
  batch: 3,
  loss: 'softmax_cross_entropy',
  optimizer: { kind: 'sgd', momentum: 0, weightDecay: 0 },
}

let backend: Backend
beforeAll(async () => {
  backend = await openNativeBackend({ threads: 1 })
})

function changed(bytes: Uint8Array, change: (model: ModelProto) => void): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes)
  change(model)
  return toBinary(ModelProtoSchema, model)
}

const normOf = (model: ModelProto) => model.graph!.node.find(({ opType }) => opType === 'BatchNormalization')!

const step = (
  opType: string,
  inputs: string[],
  output: string,
  attributes: Node['attributes'] = {},
): Node => ({
  ...{ opType, domain: '', name: output, inputs, outputs: [output], attributes },
})

test('statistics stand behind all weights in the flat vector', async () => {
  const { parameters } = await compileProgram(file, spec, backend)
  expect(parameters.slice(-2).map(({ name, kind }) => [name, kind])).toEqual([
    ['bn.running_mean', 'statistic'],
    ['bn.running_var', 'statistic'],
  ])
  expect(parameters.slice(0, -2).every(({ kind }) => kind === 'weight')).toBe(true)
})

test("a statistic's copy leaves a tensor of the file its name, and finds its place in the result", async () => {
  const merged = changed(file, (model) => {
    const norm = normOf(model)
    norm.input[4] = norm.input[1]!
    const own = norm.input[2]!
    const taken = `${norm.output[0]}/running_var`
    norm.input[2] = taken
    model.graph!.initializer.find(({ name }) => name === own)!.name = taken
  })
  const { parameters, initial } = await compileProgram(merged, spec, backend)
  const [taken, copy] = ['', '+'].map(
    (end) => `${normOf(fromBinary(ModelProtoSchema, merged)).output[0]}/running_var${end}`,
  )
  expect(parameters.find(({ name }) => name === taken)?.kind).toBe('weight')
  expect(parameters.at(-1)).toMatchObject({ name: copy, kind: 'statistic' })
  const result = fromBinary(ModelProtoSchema, withParameters(merged, parameters, initial))
  expect(normOf(result).input.slice(2)).toEqual([taken, 'bn.running_mean', copy])
})

test('a variance that the exporter merged with the scale gets a tensor of its own, in training and in the result', async () => {
  const merged = changed(file, (model) => {
    const norm = normOf(model)
    norm.input[4] = norm.input[1]!
  })
  const { parameters, initial } = await compileProgram(merged, spec, backend)
  const copy = parameters.at(-1)!
  expect(copy).toMatchObject({ kind: 'statistic', shape: [8] })
  const trained = initial.slice().fill(3, copy.offset, copy.offset + copy.length)
  const result = fromBinary(ModelProtoSchema, withParameters(merged, parameters, trained))
  const norm = normOf(result)
  const tensor = (name: string) => result.graph!.initializer.find((found) => found.name === name)!
  expect([...new Float32Array(tensor(norm.input[4]!).rawData.slice().buffer)]).toEqual(Array(8).fill(3))
  expect(norm.input[1]).toBe('bn.weight')
  expect(tensor('bn.weight').rawData).not.toEqual(tensor(norm.input[4]!).rawData)
})

test('a file in training mode trains as one in evaluation mode, and comes back in evaluation mode', async () => {
  const training = changed(file, (model) => {
    const norm = normOf(model)
    norm.attribute.push(create(AttributeProtoSchema, { name: 'training_mode', type: 2, i: 1n }))
    norm.output.push('next mean', 'next variance')
  })
  const program = await compileProgram(training, spec, backend)
  const plain = await compileProgram(file, spec, backend)
  expect(program.gradientModel).toEqual(plain.gradientModel)
  expect(program.evaluationModel).toEqual(plain.evaluationModel)
  const result = normOf(
    fromBinary(ModelProtoSchema, withParameters(training, program.parameters, program.initial)),
  )
  expect(result.attribute.find(({ name }) => name === 'training_mode')).toBeUndefined()
  expect(result.output).toHaveLength(1)
})

/** h = Block(x, w1), y = Block(h, w2): Block is a file's own function, its statistics those of both calls. */
function calledTwice(): Uint8Array {
  const vector = (value: number): Constant => ({
    ...{ dtype: 'float32', shape: [2] },
    data: Float32Array.of(value, value),
  })
  const body: Node[] = [
    step('Mul', ['x', 'w'], 'product'),
    {
      ...step('BatchNormalization', ['product', 'ones', 'zeros', 'zeros', 'ones'], 'normal'),
      ...{ outputs: ['normal', 'next mean', 'next variance'], attributes: { training_mode: int(1) } },
    },
    step('Dropout', ['normal', '', 'always'], 'y'),
  ]
  const written = writeModel({
    ...{ opset: 17, nodes: body },
    constants: new Map<string, Constant>([
      ['w1', vector(2)],
      ['w2', vector(3)],
      ['ones', vector(1)],
      ['zeros', vector(0)],
      ['always', { dtype: 'bool', shape: [], data: Uint8Array.of(1) }],
    ]),
    inputs: new Map([['x', { dtype: 'float32', shape: [3, 2] }]]),
    outputs: new Map([['y', null]]),
  })
  const call = (x: string, w: string, y: string) => ({
    ...{ name: 'call', domain: 'own', opType: 'Block' },
    ...{ input: [x, w, 'ones', 'zeros', 'always'], output: [y] },
  })
  return changed(written, (model) => {
    const block = {
      name: 'Block',
      domain: 'own',
      input: ['x', 'w', 'ones', 'zeros', 'always'],
      output: ['y'],
    }
    const { node } = model.graph!
    model.functions.push(create(FunctionProtoSchema, { ...block, node, opsetImport: model.opsetImport }))
    model.opsetImport.push(create(OperatorSetIdProtoSchema, { domain: 'own', version: 1n }))
    model.graph!.node = [call('x', 'w1', 'h'), call('h', 'w2', 'y')].map((one) =>
      create(NodeProtoSchema, one),
    )
  })
}

test('calls of one function in training mode come back in inference mode, each with its own statistics', async () => {
  const file = calledTwice()
  const { parameters, initial } = await compileProgram(file, { ...spec, loss: 'mse' }, backend)
  const statistics = parameters.filter(({ kind }) => kind === 'statistic')
  expect(statistics).toHaveLength(4)
  const trained = initial.map((_, index) => 0.5 + index / 8)
  const valuesOf = (name: string | undefined) => {
    const { offset, length } = parameters.find((parameter) => parameter.name === name)!
    return trained.subarray(offset, offset + length)
  }
  const graph = await backend.compile(withParameters(file, parameters, trained))
  const x = Float32Array.of(1, -2, 3, 0.5, 0, 4)
  const { y } = await graph.run({ x: { dtype: 'float32', shape: [3, 2], data: x } })
  await graph.release()
  const [scale, bias] = [valuesOf('ones'), valuesOf('zeros')]
  const block = (rows: readonly number[], weight: string, [mean, variance]: readonly Float32Array[]) => {
    const w = valuesOf(weight)
    return rows.map((value, k) => {
      const feature = k % 2
      const deviation = Math.sqrt(variance![feature]! + 1e-5)
      return ((w[feature]! * value - mean![feature]!) / deviation) * scale[feature]! + bias[feature]!
    })
  }
  const moments = statistics.map(({ name }) => valuesOf(name))
  const expected = block(block([...x], 'w1', moments.slice(0, 2)), 'w2', moments.slice(2))
  expect(relativeError(y!.data as Float32Array, expected)).toBeLessThan(1e-6)
})

/** So PyTorch's new exporter writes batch norms without running statistics, and standardised weights. */
test('a mean and a variance that the model computes move with what they are computed from', async () => {
  const axes = { kind: 'ints', value: [0, 2] } as const
  const means = (output: string, input: string, keepdims: number) =>
    step('ReduceMean', [input], output, { axes, keepdims: int(keepdims) })
  const statistics = [
    means('mean', 'w', 0),
    means('level', 'w', 1),
    step('Sub', ['w', 'level'], 'centred'),
    step('Mul', ['centred', 'centred'], 'squares'),
    means('variance', 'squares', 0),
  ]
  const gradientOf = async (nodes: readonly Node[]) => {
    const random = seededRandom(5)
    const drawn = (...shape: number[]): Constant => ({
      ...{ dtype: 'float32', shape },
      data: Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.normal()),
    })
    const shape = [2, 3, 4]
    const constants = {
      ...{ w: drawn(...shape), scale: drawn(3), bias: drawn(3) },
      ...{ rows: int64Constant([1, 3, 8]), parted: int64Constant([3, 2, 4]) },
    }
    const model = writeModel({
      opset: 17,
      nodes: [...nodes, step('Add', ['normal', 'x'], 'y')],
      constants: new Map(Object.entries(constants)),
      inputs: new Map([['x', { dtype: 'float32', shape }]]),
      outputs: new Map([['y', null]]),
    })
    const program = await compileProgram(model, { ...spec, batch: 2, loss: 'mse' }, backend)
    const trainer = new Trainer(program, backend)
    const tensor = () => ({ dtype: 'float32', shape, data: drawn(...shape).data as Float32Array }) as const
    const { gradient } = await trainer.gradient({ inputs: { x: tensor() }, labels: tensor() })
    await trainer.release()
    return gradient.slice()
  }
  const norm = (mean: string, variance: string) =>
    step('BatchNormalization', ['w', 'scale', 'bias', mean, variance], 'normal')
  const computed = await gradientOf([...statistics, norm('mean', 'variance')])
  const instance = await gradientOf([
    step('Transpose', ['w'], 'turned', { perm: { kind: 'ints', value: [1, 0, 2] } }),
    step('Reshape', ['turned', 'rows'], 'row'),
    step('InstanceNormalization', ['row', 'scale', 'bias'], 'normalised'),
    step('Reshape', ['normalised', 'parted'], 'back'),
    step('Transpose', ['back'], 'normal', { perm: { kind: 'ints', value: [1, 0, 2] } }),
  ])
  expect(relativeError(computed, [...instance])).toBeLessThan(1e-5)
})

test('a batch with one value a channel is refused, since it has no variance', async () => {
  const small = changed(file, (model) => {
    const norm = normOf(model)
    const pooled = {
      ...norm,
      opType: 'GlobalMaxPool',
      name: 'pool',
      input: [norm.input[0]!],
      output: ['pooled'],
    }
    model.graph!.node.splice(model.graph!.node.indexOf(norm), 0, { ...pooled, attribute: [] })
    norm.input[0] = 'pooled'
  })
  await expect(compileProgram(small, { ...spec, batch: 1 }, backend)).rejects.toMatchObject({
    code: 'MODEL_UNSUPPORTED',
    message: expect.stringContaining('single value of each channel'),
  })
})

test('steps carry the statistics, so that an evaluation after them uses what they measured', async () => {
  const program = await compileProgram(file, spec, backend)
  const trainer = new Trainer(program, backend)
  const x = { ...cnn.x, data: Float32Array.from(cnn.x.data) } as const
  const labels = { dtype: 'int32', shape: cnn.labels.shape, data: Int32Array.from(cnn.labels.data) } as const
  await trainer.steps([{ inputs: { x }, labels }], [0])
  const flat = new Float32Array(program.parameterCount)
  await trainer.read(flat)
  await trainer.release()
  const statistics = program.parameters.filter(({ kind }) => kind === 'statistic')
  expect(statistics).toHaveLength(2)
  for (const { name, offset, length } of statistics) {
    for (const [index, value] of flat.subarray(offset, offset + length).entries()) {
      expect(value).toBeCloseTo(cnn.statistics[name]![index]!, 5)
    }
  }
})
