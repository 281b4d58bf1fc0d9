/** Running statistics as files hold them: shared by accident or on purpose, frozen by one value, written back. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { beforeAll, expect, test } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import {
  AttributeProtoSchema,
  type ModelProto,
  ModelProtoSchema,
} from '../../../engine/onnx/generated/onnx_pb.ts'
import { compileProgram, type TrainingSpec, withParameters } from '../../../engine/program.ts'
import { Trainer } from '../../../engine/trainer.ts'
import { modelBytes, pytorchModels } from './pytorch-models.ts'

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

test('statistics stand behind all weights in the flat vector', async () => {
  const { parameters } = await compileProgram(file, spec, backend)
  expect(parameters.slice(-2).map(({ name, kind }) => [name, kind])).toEqual([
    ['bn.running_mean', 'statistic'],
    ['bn.running_var', 'statistic'],
  ])
  expect(parameters.slice(0, -2).every(({ kind }) => kind === 'weight')).toBe(true)
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
  expect(result.attribute.find(({ name }) => name === 'training_mode')!.i).toBe(0n)
  expect(result.output).toHaveLength(1)
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
  const trainer = Trainer.create(program, backend)
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
