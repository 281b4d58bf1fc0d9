/**
 * What is said of a file before anybody trains it: counts, what stands in the way, and what an exporter likely did to
 * it.
 */
import { create } from '@bufbuild/protobuf'
import { expect, test } from 'vitest'
import { validate } from '../../../engine/model/validate.ts'
import {
  AttributeProto_AttributeType,
  NodeProtoSchema,
  TensorProtoSchema,
} from '../../../engine/onnx/generated/onnx_pb.ts'
import { exampleModel } from '../engine-run/example-models.ts'
import { addNode, changed } from './changed-model.ts'
import { families, familyModel } from './families.ts'
import { modelBytes } from './pytorch-models.ts'

const ties = modelBytes('ties_first.onnx')
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

/** `plain` with another name for its first tensor. */
const withName = (name: string) =>
  changed(plain, (model) => {
    const [first] = model.graph!.initializer
    for (const { input } of model.graph!.node) {
      const place = input.indexOf(first!.name)
      if (place >= 0) input[place] = name
    }
    first!.name = name
  })

test('warns of tensors that an exporter folded, by the names it made up', () => {
  expect(validate(withName('onnx::Gemm_7')).warnings).toEqual([
    expect.stringMatching(/folded 1 tensors \('onnx::Gemm_7'\).*do_constant_folding=False/),
  ])
})

test('warns of batch norms that tf2onnx made scales and shifts of', () => {
  expect(validate(withName('net_1/norm_1/batchnorm/mul:0')).warnings).toEqual([
    expect.stringMatching(/folded 1 batch norms \('net_1\/norm_1'\).*GroupNormalization/),
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
