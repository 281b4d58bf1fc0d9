/** What a compiled program promises besides numbers: names, refusals, the file that trained weights go back into. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import {
  AttributeProto_AttributeType,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
} from '../../../engine/onnx/generated/onnx_pb.ts'
import { type Attributes, intOf } from '../../../engine/onnx/graph.ts'
import { readModel } from '../../../engine/onnx/read.ts'
import { compileProgram, type TrainingSpec, withParameters } from '../../../engine/program.ts'
import { validate } from '../../../engine/validate.ts'
import { exampleModel } from '../engine-run/example-models.ts'
import { families, familyModel } from './families.ts'
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

function changed(bytes: Uint8Array, change: (model: ModelProto) => void): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes)
  change(model)
  return toBinary(ModelProtoSchema, model)
}

const plain = modelBytes('mlp_torchscript.onnx')

/** `plain` with a factor: the sum of a tensor 'table', or of what `read` makes of it. */
const withTable = (
  values: Float32Array,
  shape: readonly number[],
  read: 'Identity' | 'Gather' = 'Identity',
) =>
  changed(plain, ({ graph }) => {
    const float32 = { name: 'table', dataType: 1, dims: shape.map(BigInt) }
    graph!.initializer.push(
      create(TensorProtoSchema, { ...float32, rawData: new Uint8Array(values.slice().buffer) }),
      create(TensorProtoSchema, { name: 'place', dataType: 7, dims: [1n], int64Data: [0n] }),
    )
    const y = graph!.output[0]!.name
    const input = read === 'Gather' ? ['table', 'place'] : ['table']
    graph!.node.push(
      create(NodeProtoSchema, { opType: read, name: '/read', input, output: ['/rows'] }),
      create(NodeProtoSchema, { opType: 'ReduceSum', name: '/sum', input: ['/rows'], output: ['/factor'] }),
      create(NodeProtoSchema, { opType: 'Mul', name: '/mul', input: [y, '/factor'], output: ['/z'] }),
    )
    graph!.output[0]!.name = '/z'
  })

const addNode = (opType: string, input: string, output: string) => (model: ModelProto) => {
  const { graph } = model
  graph!.node.push(create(NodeProtoSchema, { opType, name: 'odd one', input: [input], output: [output] }))
  graph!.output[0]!.name = output
}

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

test('training graphs use no operator that a backend computes in int64 or not at all', async () => {
  const program = await compileProgram(exampleModel('shakespeare/gpt.onnx'), { ...spec, batch: 2 }, backend)
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

describe('validate', () => {
  test('counts parameters and operators of a model that trains', () => {
    const report = validate(exampleModel('mnist/cnn.onnx'))
    expect(report).toMatchObject({
      opset: 20,
      outputs: ['logits'],
      parameterCount: 39_418,
      unsupported: [],
      warnings: [],
    })
    expect(report.operators).toMatchObject({ Conv: 2, Relu: 3, MaxPool: 2, Gemm: 2 })
    expect(report.inputs).toEqual([{ name: 'image', dtype: 'float32', shape: ['batch', 1, 28, 28] }])
    expect(report.losses).toEqual(['softmax_cross_entropy', 'mse', 'l1', 'binary_cross_entropy'])
  })

  test('lists every node that stands in the way, not only the first', () => {
    const file = changed(ties, (model) => {
      addNode('Bernoulli', 'y', 'z')(model)
      addNode('DynamicQuantizeLinear', 'z', 'w')(model)
    })
    const { unsupported } = validate(file)
    expect(unsupported.map(({ operator, node }) => [operator, node])).toEqual([
      ['Bernoulli', 'odd one'],
      ['DynamicQuantizeLinear', 'odd one'],
    ])
  })

  test('refuses noise that no parameter moves, and says where to get it from', () => {
    const file = changed(ties, (model) => {
      const shape = { name: 'shape', type: AttributeProto_AttributeType.INTS, ints: [1n] }
      model.graph!.node.push(
        create(NodeProtoSchema, { opType: 'RandomNormal', name: 'noise', attribute: [shape], output: ['e'] }),
        create(NodeProtoSchema, { opType: 'Add', name: 'sum', input: ['y', 'e'], output: ['z'] }),
      )
      model.graph!.output[0]!.name = 'z'
    })
    const { unsupported } = validate(file)
    expect(unsupported).toEqual([
      {
        node: 'noise',
        operator: 'RandomNormal',
        reason: expect.stringContaining('random'),
        remedy: expect.stringContaining('as an input'),
      },
    ])
  })

  test('does not refuse an operator that no parameter moves', () => {
    const file = changed(ties, (model) => {
      model.graph!.node.unshift(
        create(NodeProtoSchema, { opType: 'Tan', name: 'early', input: ['x'], output: ['tan'] }),
      )
      for (const node of model.graph!.node.slice(1))
        node.input = node.input.map((name) => (name === 'x' ? 'tan' : name))
    })
    expect(validate(file).unsupported).toEqual([])
  })

  test('warns of tensors that an exporter merged or took apart', () => {
    const gpt = changed(exampleModel('shakespeare/gpt.onnx'), (model) => {
      const norms = model.graph!.node.filter(({ opType }) => opType === 'LayerNormalization')
      for (const node of norms) node.input[1] = 'ln_f.weight'
    })
    expect(validate(gpt).warnings).toEqual([
      expect.stringContaining("'ln_f.weight' is shared by 9 normalisations"),
    ])
  })

  test('warns of a tied weight that an exporter wrote twice, once transposed', () => {
    const untied = changed(exampleModel('shakespeare/gpt.onnx'), (model) => {
      const { initializer, node } = model.graph!
      const table = initializer.find(({ name }) => name === 'lm_head.weight')!
      const [rows, columns] = table.dims.map(Number) as [number, number]
      const values = new Float32Array(table.rawData.slice().buffer)
      const turned = values.map((_, index) => values[(index % rows) * columns + Math.floor(index / rows)]!)
      initializer.push({
        ...table,
        name: 'head',
        dims: table.dims.toReversed(),
        rawData: new Uint8Array(turned.buffer),
      })
      node.at(-1)!.input[1] = 'head'
    })
    expect(validate(untied).warnings).toEqual([
      expect.stringContaining("'head' is 'lm_head.weight' transposed"),
      expect.stringContaining("folded 1 tensors ('head')"),
    ])
  })

  test('warns of tensors that an exporter folded, by the names it made up', () => {
    const folded = changed(plain, (model) => {
      const [first] = model.graph!.initializer
      for (const { input } of model.graph!.node) {
        const place = input.indexOf(first!.name)
        if (place >= 0) input[place] = 'onnx::Gemm_7'
      }
      first!.name = 'onnx::Gemm_7'
    })
    expect(validate(folded).warnings).toEqual([
      expect.stringMatching(/folded 1 tensors \('onnx::Gemm_7'\).*do_constant_folding=False/),
    ])
  })

  test('warns of a number without dimensions in a numbered module', () => {
    const scaled = changed(withTable(Float32Array.of(0.7), []), ({ graph }) => {
      graph!.initializer.find(({ name }) => name === 'table')!.name = '3.original0'
      graph!.node.find(({ name }) => name === '/read')!.input = ['3.original0']
    })
    expect(validate(scaled).warnings).toEqual([expect.stringContaining("'3.original0' is a number without")])
  })

  test('takes a single number without a role for a literal where others have roles', () => {
    const scaled = changed(ties, (model) => {
      const data = new Uint8Array(Float32Array.of(0.3).buffer)
      model.graph!.initializer.push(
        create(TensorProtoSchema, { name: 'val_9', dataType: 1, dims: [1n], rawData: data }),
      )
      addNode('Mul', 'y', 'z')(model)
      model.graph!.node.at(-1)!.input = [model.graph!.node.at(-2)!.output[0]!, 'val_9']
    })
    const { parameters, warnings } = validate(scaled)
    expect(parameters.map(({ name }) => name)).toEqual(validate(ties).parameters.map(({ name }) => name))
    expect(warnings).toEqual([expect.stringContaining("folded 1 tensors ('val_9')")])
  })

  test('a folded tensor that was merged with an equal one is trained on its own, unless one tensor was folded twice', () => {
    const merged = (values: readonly number[]) =>
      changed(withTable(Float32Array.from(values), [2]), ({ graph }) => {
        const input = ['table']
        graph!.node.unshift(create(NodeProtoSchema, { opType: 'Identity', input, output: ['onnx::Add_5'] }))
        graph!.node.find(({ name }) => name === '/read')!.input = ['onnx::Add_5']
      })
    const namesOf = (file: Uint8Array) => validate(file).parameters.map(({ name }) => name)
    expect(namesOf(merged([0, 0]))).toContain('onnx::Add_5')
    expect(namesOf(merged([0.1, 0.2]))).not.toContain('onnx::Add_5')
  })

  test('warns of what looks like a buffer, by name and by value, and of a padding row', () => {
    const mask = [0, -1e9, 0, 0]
    const sines = [0, 1, Math.sin(1), Math.cos(1)]
    for (const [values, shape, reason] of [
      [mask, [2, 2], 'a mask'],
      [sines, [2, 2], 'a table of sines'],
      [[-1, -0.5, 0, 0.5], [4], 'a progression'],
      [[1, 0.1, 0.01, 0.001], [4], 'a progression'],
    ] as const) {
      expect(validate(withTable(Float32Array.from(values), shape)).warnings).toEqual([
        expect.stringMatching(new RegExp(`'table' looks like a buffer \\(${reason}\\).*freeze`)),
      ])
    }
    expect(validate(withTable(Float32Array.of(0, 0.9, 0.2, 0.4), [2, 2])).warnings).toEqual([])
    expect(validate(withTable(Float32Array.of(0.7), [])).warnings).toEqual([
      expect.stringContaining("'table' is a number without dimensions"),
    ])
    expect(validate(withTable(Float32Array.of(0, 0, 0.2, 0.4), [2, 2], 'Gather')).warnings).toEqual([
      expect.stringContaining("row 0 of 'table' is all zeros, likely padding_idx=0"),
    ])
  })

  test.each(Object.keys(families))('takes no weight of the family %s for a buffer', async (name) => {
    const { warnings } = validate(await familyModel(name, 'torchscript'))
    const buffers = warnings.filter((text) => text.includes('looks like a buffer'))
    expect(buffers.map((text) => text.split("'")[1])).toEqual(families[name]!.buffers)
  })

  test('says that a BatchNormalization goes by the batch', () => {
    const { warnings, notes } = validate(modelBytes('cnn_dynamo.onnx'))
    expect(warnings).toEqual([])
    expect(notes).toEqual([expect.stringContaining('BatchNormalization (1) trains by')])
  })
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
