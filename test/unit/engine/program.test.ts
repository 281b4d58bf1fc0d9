/** What a compiled program promises besides numbers: names, refusals, the file that trained weights go back into. */
import { create } from '@bufbuild/protobuf'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { withParameters } from '../../../engine/model/with-parameters.ts'
import { type ModelProto, NodeProtoSchema } from '../../../engine/onnx/generated/onnx_pb.ts'
import { type Attributes, intOf } from '../../../engine/onnx/graph.ts'
import { readModel } from '../../../engine/onnx/read.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import type { TrainingSpec } from '../../../engine/program/training-program.ts'
import { exampleModel } from '../engine-run/example-models.ts'
import { addNode, changed } from './changed-model.ts'
import { feedsOf, modelBytes, pytorchModels } from './pytorch-models.ts'

const spec: TrainingSpec = {
  batch: 3,
  loss: 'softmax_cross_entropy',
  optimizer: { kind: 'sgd', momentum: 0.9, weightDecay: 0 },
}
const ties = modelBytes('ties_first.onnx')

let backend: Backend
beforeAll(async () => {
  backend = await openNativeBackend({ threads: 1 })
})

test('the same file and specification give the same bytes', async () => {
  const first = await compileProgram(ties, spec, backend)
  const second = await compileProgram(ties, spec, backend)
  const bytesOf = ({ memoryWith, split, ...program }: typeof first) => ({
    ...program,
    split: split(),
    least: memoryWith('everything'),
  })
  expect(bytesOf(second)).toEqual(bytesOf(first))
})

test('every graph takes the batch and all parameters, and the step graph hands its state on by name', async () => {
  const program = await compileProgram(ties, spec, backend)
  const names = ['conv.weight', 'conv.bias', 'fc.weight', 'fc.bias']
  const inputsOf = (model: Uint8Array) =>
    readModel(model)
      .graph.inputs.map(({ name }) => name)
      .sort()
  expect(program.parameters.map(({ name }) => name)).toEqual(names)
  expect(inputsOf(program.gradientModel)).toEqual(['x', 'labels', ...names].sort())
  expect(inputsOf(program.evaluationModel)).toEqual(['x', 'labels', ...names].sort())
  expect(inputsOf(program.stepModel)).toEqual(
    ['x', 'labels', 'learning_rate', 'step', ...names, ...program.slotNames].sort(),
  )
  expect(Object.values(program.carry).sort()).toEqual([...names, ...program.slotNames].sort())
  expect([...readModel(program.stepModel).graph.outputs].sort()).toEqual(
    ['loss', ...Object.keys(program.carry)].sort(),
  )
})

test('no training graph holds a weight of the model', async () => {
  const program = await compileProgram(exampleModel('shakespeare/gpt.onnx'), { ...spec, batch: 2 }, backend)
  expect(program.parameterCount).toBe(804_096)
  for (const model of [program.gradientModel, program.stepModel, program.evaluationModel]) {
    expect(model.length).toBeLessThan(400_000)
  }
})

test('graphs for a graphics processor use no operator that it computes in int64 or not at all', async () => {
  const graphics: Backend = { ...backend, name: 'webgpu' }
  const program = await compileProgram(exampleModel('shakespeare/gpt.onnx'), { ...spec, batch: 2 }, graphics)
  const { nodes } = readModel(program.stepModel).graph
  const operators = new Set(nodes.map(({ opType }) => opType))
  for (const forbidden of [
    'OneHot',
    'ScatterND',
    'ScatterElements',
    'ArgMax',
    'LogSoftmax',
    'CastLike',
    'Range',
    'Shape',
  ]) {
    expect(operators).not.toContain(forbidden)
  }
})

describe('a model is refused', () => {
  const refusal = (code: string, message: string) =>
    expect.objectContaining({ code, message: expect.stringContaining(message), hint: expect.any(String) })

  test.each([
    [
      'with the operator, the node and the remedy named',
      addNode('Bernoulli', 'y', 'z'),
      "Bernoulli (node 'odd one')",
    ],
    ['when it works with another operator set than ONNX has', addNode('FusedThing', 'y', 'z'), 'FusedThing'],
    ['when its batch is fixed at another size', fixBatch, 'fixed batch of 5, not 3'],
    ['when another dimension is open', openWidth, "('width') of input 'x' is open"],
    ['when it uses a name of the training graphs', renameInput, "'labels'"],
  ])('%s', async (_, change, message) => {
    await expect(compileProgram(changed(ties, change), spec, backend)).rejects.toEqual(
      refusal('MODEL_UNSUPPORTED', message),
    )
  })

  test('when a node reads what nothing made', async () => {
    const broken = changed(ties, (model) => {
      model.graph!.node.at(-1)!.input[0] = 'ghost'
    })
    await expect(compileProgram(broken, spec, backend)).rejects.toEqual(refusal('MODEL_INVALID', "'ghost'"))
  })

  test('when its output has no axis for classes', async () => {
    const loss = modelBytes('mlp_dynamo.onnx')
    const scalar = changed(loss, addNode('ReduceMean', 'y', 'z'))
    await expect(compileProgram(scalar, spec, backend)).rejects.toEqual(
      refusal('MODEL_UNSUPPORTED', 'needs logits'),
    )
  })
})

function inputDimension(model: ModelProto, axis: number) {
  const type = model.graph!.input[0]!.type!.value
  if (type.case !== 'tensorType') throw new Error('the fixture has a tensor input')
  return type.value.shape!.dim[axis]!
}

function fixBatch(model: ModelProto): void {
  inputDimension(model, 0).value = { case: 'dimValue', value: 5n }
}

function openWidth(model: ModelProto): void {
  inputDimension(model, 3).value = { case: 'dimParam', value: 'width' }
}

function renameInput(model: ModelProto): void {
  model.graph!.input[0]!.name = 'labels'
  for (const { input } of model.graph!.node) if (input[0] === 'x') input[0] = 'labels'
}

test('an input that the output does not need is not asked for', async () => {
  const two = changed(ties, (model) => {
    model.graph!.input.push({ ...model.graph!.input[0]!, name: 'extra' })
  })
  const program = await compileProgram(two, spec, backend)
  expect(program.inputs.map(({ name }) => name)).toEqual(['x'])
})

test('an open dimension besides the batch has the size that the job gives it', async () => {
  const program = await compileProgram(
    changed(ties, openWidth),
    { ...spec, dimensions: { width: 8 } },
    backend,
  )
  expect(program.inputs[0]!.shape).toEqual([3, 1, 8, 8])
})

test('one of two outputs can be chosen to train by', async () => {
  const two = changed(ties, (model) => {
    model.graph!.output.push({ ...model.graph!.output[0]!, name: 'twice' })
    model.graph!.node.push(
      create(NodeProtoSchema, { opType: 'Add', name: 'add', input: ['y', 'y'], output: ['twice'] }),
    )
  })
  await expect(compileProgram(two, spec, backend)).rejects.toThrow("has 2 outputs ('y', 'twice')")
  const program = await compileProgram(two, { ...spec, outputName: 'y' }, backend)
  expect(program.gradientModel).toEqual((await compileProgram(ties, spec, backend)).gradientModel)
})

test.each(['mlp_dynamo', 'gpt_torchscript'])(
  '%s with new weights is the file that computes with them',
  async (name) => {
    const model = pytorchModels[name]!
    const own: TrainingSpec = { ...spec, loss: model.loss_kind }
    const program = await compileProgram(modelBytes(model.file), own, backend)
    const trained = program.initial.map((value, index) => value + Math.sin(index) / 10)
    const file = withParameters(modelBytes(model.file), program.parameters, trained)
    const again = await compileProgram(file, own, backend)
    const byName = (of: typeof program) =>
      Object.fromEntries(
        of.parameters.map(({ name: n, offset, length }) => [n, of.initial.slice(offset, offset + length)]),
      )
    expect(byName(again)).toEqual(byName({ ...program, initial: trained }))
    const loss = async (of: typeof program, flat: Float32Array) => {
      const graph = await backend.compile(of.gradientModel)
      const outputs = await graph.run(feedsOf(model, of, flat))
      await graph.release()
      return outputs.loss!.data[0]
    }
    expect(await loss(again, again.initial)).toBe(await loss(program, trained))
    expect(await loss(program, trained)).not.toBe(await loss(program, program.initial))
  },
)

test('weights of another model are refused by name', () => {
  const parameters = [{ name: 'conv.weight', kind: 'weight' as const, shape: [4], offset: 0, length: 4 }]
  expect(() => withParameters(ties, parameters, new Float32Array(4))).toThrow(
    "no parameter 'conv.weight' of shape [4]",
  )
})

test.each([
  ['float32', 'computed', 'float32'],
  ['auto', 'computed', 'float16'],
  ['auto', 'emulated', 'float32'],
  ['auto', null, 'float32'],
  ['float16', 'emulated', 'float16'],
  ['float16', null, 'float32'],
] as const)(
  'with precision %s and kernels for float16 %s a step computes in %s',
  async (asked, kernels, given) => {
    const device = { ...backend, halfKernels: async () => kernels }
    const { precision, gradientModel, evaluationModel } = await compileProgram(
      ties,
      { ...spec, precision: asked },
      device,
    )
    expect(precision).toBe(given)
    const casts = (model: Uint8Array) =>
      readModel(model).graph.nodes.filter(({ opType }) => opType === 'Cast')
    const toHalf = ({ attributes }: { attributes: Attributes }) => intOf(attributes, 'to', 0) === 10
    expect(casts(gradientModel).some(toHalf)).toBe(given === 'float16')
    expect(casts(evaluationModel).some(toHalf)).toBe(false)
  },
)

test('a step in float16 takes less memory for its values, and as much for its state', async () => {
  const model = exampleModel('shakespeare/gpt.onnx')
  const { memoryWith } = await compileProgram(model, { ...spec, batch: 8 }, backend)
  const [full, half] = [memoryWith('nothing', 'float32'), memoryWith('nothing', 'float16')]
  expect(half.stateBytes).toBe(full.stateBytes)
  expect(half.valueBytes / full.valueBytes).toBeLessThan(0.75)
  expect(memoryWith('everything', 'float16').valueBytes).toBeLessThan(half.valueBytes)
})
