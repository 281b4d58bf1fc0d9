/**
 * Operators that WebGPU has no kernel for, in the form that they are spelled out there: forward values against the
 * float64 reference, gradients against its differences. All cases stand in one model, which native runs too, where a
 * wrong formula is told from a wrong kernel.
 */
import { expect, test } from 'vitest'
import { Formulas } from '../../engine/graph/formulas.ts'
import { GraphBuilder, type TypedNode, type Value } from '../../engine/graph/graph-builder.ts'
import { opsetTarget } from '../../engine/import/opsets.ts'
import { type Attributes, int, ints } from '../../engine/onnx/graph.ts'
import { type Constant, sizeOf } from '../../engine/onnx/types.ts'
import { writeModel } from '../../engine/onnx/write.ts'
import { compileProgram } from '../../engine/program/compile-program.ts'
import { addForward } from '../../engine/program/forward.ts'
import { Trainer } from '../../engine/training/trainer.ts'
import { caseGraph } from '../unit/engine/fuzz/case-graph.ts'
import { derivativeError, modelOf, referenceDerivative } from '../unit/engine/fuzz/graph-model.ts'
import type { GradientCase } from '../unit/engine/gradient-case.ts'
import { gradientCases } from '../unit/engine/gradient-cases.ts'
import { backends, openBackend } from './backends.ts'

const tolerance = 1e-4

/**
 * Convolutions over three axes that stride, have groups or are transposed, and poolings, whose gradients are such
 * convolutions.
 */
function isVolume({ op, inputs: [x] }: GradientCase): boolean {
  return (
    ['Conv', 'ConvTranspose', 'MaxPool', 'AveragePool'].includes(op) &&
    x?.kind === 'parameter' &&
    x.shape.length === 5
  )
}

const cases = gradientCases.filter(
  (given) => ['Mod', 'ReverseSequence', 'MaxUnpool', 'Det'].includes(given.op) || isVolume(given),
)

test.each(backends.filter(({ title }) => title !== 'wasm'))('on $title', async ({ open }) => {
  const backend = await open()
  const { model, feeds, placed } = modelOf(cases.map(caseGraph), opsetTarget, 'gpu')
  const executable = await backend.compile(model)
  const values = await executable.run(feeds)
  await executable.release()
  for (const [index, one] of placed.entries()) {
    const { name } = cases[index]!
    const { shape, data } = one.graph.output
    expect(values[one.output]!.shape, name).toEqual(shape)
    for (const [place, value] of data.entries()) {
      expect(Math.abs(values[one.output]!.data[place]! - value), name).toBeLessThan(tolerance)
    }
    const derivative = referenceDerivative(one)!
    expect(derivativeError(one, values, derivative), name).toBeLessThan(tolerance)
  }
})

/** What truth values and whole numbers are made of: `[operator, inputs, type of the output, shape, attributes]`. */
const discrete: readonly (readonly [
  string,
  string[],
  'bool' | 'int32' | 'float32',
  number[],
  Attributes?,
])[] = [
  ['Round', ['x'], 'float32', [2, 6]],
  ['IsNaN', ['odd'], 'bool', [2, 6]],
  ['IsInf', ['odd'], 'bool', [2, 6]],
  ['IsInf', ['odd'], 'bool', [2, 6], { detect_positive: int(0) }],
  ['IsInf', ['odd'], 'bool', [2, 6], { detect_negative: int(0) }],
  ['Or', ['a', 'b'], 'bool', [2, 6]],
  ['Xor', ['a', 'b'], 'bool', [2, 6]],
  ['Equal', ['a', 'b'], 'bool', [2, 6]],
  ['Identity', ['a'], 'bool', [2, 6]],
  ['Transpose', ['a'], 'bool', [6, 2], { perm: ints([1, 0]) }],
  ['Concat', ['a', 'a'], 'bool', [2, 12], { axis: int(1) }],
  ['Tile', ['a', 'twice'], 'bool', [4, 6]],
  ['Trilu', ['a'], 'bool', [2, 6]],
  ['Slice', ['a', 'one', 'five', 'one'], 'bool', [2, 4]],
  ['Slice', ['i', 'one', 'five', 'one'], 'int32', [2, 4]],
  ['GatherElements', ['i', 'places'], 'int32', [1, 6]],
  ['Neg', ['i'], 'int32', [2, 6]],
  ['Abs', ['i'], 'int32', [2, 6]],
  ['Mod', ['i', 'j'], 'int32', [2, 6]],
  ['Mod', ['i', 'j'], 'int32', [2, 6], { fmod: int(1) }],
  ['Mod', ['large', 'divisor'], 'int32', [2, 6]],
  ['Concat', ['large', 'large'], 'int32', [2, 12], { axis: int(1) }],
  ['Trilu', ['large'], 'int32', [2, 6]],
  ['ArgMax', ['x'], 'int32', [2, 1], { axis: int(1) }],
  ['ArgMax', ['x'], 'int32', [6], { axis: int(0), keepdims: int(0), select_last_index: int(1) }],
  ['ArgMin', ['x'], 'int32', [2, 1], { axis: int(-1), select_last_index: int(1) }],
]

const shape = [2, 6]
const givenFloats = {
  x: [2.5, -1.5, 0.5, -0.5, 2.5, 1.49, 2.51, -2.5, 0, 3.5, 3.5, -2.5],
  odd: [
    Number.NaN,
    1,
    Number.POSITIVE_INFINITY,
    -1,
    Number.NEGATIVE_INFINITY,
    0,
    3.4e38,
    -3.4e38,
    1e-38,
    2,
    3,
    4,
  ],
  a: [1, 0, 1, 0, 1, 1, 0, 0, 1, 0, 0, 1],
  b: [1, 1, 0, 0, 1, 0, 1, 0, 0, 0, 1, 1],
  i: [7, -7, 7, -7, 0, 5, -6, 6, 12, -1, 3, 9],
  j: [3, 3, -3, -3, 4, 5, 3, -3, 5, 5, -4, 2],
}
const int64s = (dims: number[], ...values: number[]): Constant => ({
  dtype: 'int64',
  shape: dims,
  data: BigInt64Array.from(values, BigInt),
})
const constants = new Map([
  ['one', int64s([1], 1)],
  ['five', int64s([1], 5)],
  ['twice', int64s([2], 2, 1)],
  ['places', int64s([1, 6], 1, 0, 1, 1, 0, 0)],
  ['flat', int64s([1], -1)],
  ['divisor', { dtype: 'int32', shape: [1], data: Int32Array.of(100_003) }],
])

/** A model that puts what all of `discrete` give into one row of numbers, in the form for `device`. */
function discreteModel(device: 'cpu' | 'gpu') {
  const f = new Formulas(new GraphBuilder(opsetTarget, { device }))
  const entries = Object.entries(givenFloats).map(([name, data]) => {
    return [name, { dtype: 'float32', shape, data: Float32Array.from(data) }] as const
  })
  const feeds = Object.fromEntries(entries)
  const inputs = entries.map(([name, { dtype }]) => f.builder.input(name, { dtype, shape }))
  const typed = (dtype: 'bool' | 'int32') => (value: Value) => [value.name, f.cast(value, dtype)] as const
  const [x, odd, a, b, i, j] = inputs as [Value, Value, Value, Value, Value, Value]
  const given = new Map<string, Value>([
    ['x', x],
    ['odd', odd],
    ...[a, b].map(typed('bool')),
    ...[i, j].map(typed('int32')),
  ])
  const factor = f.builder.constant({ dtype: 'int32', shape: [], data: Int32Array.of(123_456_781) })
  given.set('large', f.mul(given.get('i')!, factor))
  const named = (name: string): Value => ({ ...(given.get(name) ?? constants.get(name)!), name })
  const nodes = discrete.flatMap(([opType, names, dtype, dims, attributes = {}], index): TypedNode[] => {
    const picks = opType.startsWith('Arg')
    const made: Value = { name: `made ${index}`, dtype: picks ? 'int64' : dtype, shape: dims }
    const number: Value = { name: `number ${index}`, dtype: 'float32', shape: dims }
    const size = dims.reduce((product, length) => product * length, 1)
    const flat: Value = { name: `flat ${index}`, dtype: 'float32', shape: [size] }
    const node = (op: string, from: Value[], to: Value, having: Attributes = {}): TypedNode => {
      return { opType: op, name: to.name, inputs: from, outputs: [to], attributes: having }
    }
    const rest: Value = { ...made, name: `rest ${index}` } // of what float32 does not hold
    const isLarge = names[0] === 'large'
    return [
      node(opType, names.map(named), made, attributes),
      ...(isLarge ? [node('Mod', [made, named('divisor')], rest)] : []),
      node('Cast', [isLarge ? rest : made], number, { to: int(1) }),
      node('Reshape', [number, named('flat')], flat),
    ]
  })
  const parts = nodes.flatMap(({ opType, outputs }) => (opType === 'Reshape' ? [outputs[0]!] : []))
  const length = parts.reduce((sum, part) => sum + part.shape[0]!, 0)
  const output: Value = { name: 'all', dtype: 'float32', shape: [length] }
  nodes.push({
    opType: 'Concat',
    name: 'all',
    inputs: parts,
    outputs: [output],
    attributes: { axis: int(0) },
  })
  const forward = addForward(f, { nodes, output, constants, parameters: [] }, given, 'training')
  return { model: writeModel(f.builder.finish({ row: forward.output }, inputs)), feeds }
}

test('truth values and whole numbers come out on WebGPU as they do on a CPU', async () => {
  const rowOn = async (title: string, device: 'cpu' | 'gpu') => {
    const { model, feeds } = discreteModel(device)
    const executable = await (await openBackend(title)).compile(model)
    const { row } = await executable.run(feeds)
    await executable.release()
    return Array.from(row!.data, (value) => value + 0) // -0 is 0
  }
  const expected = await rowOn('native', 'cpu')
  expect(new Set(expected).size).toBeGreaterThan(10)
  expect(await rowOn('native', 'gpu')).toEqual(expected)
  expect(await rowOn('webgpu', 'gpu')).toEqual(expected)
})

test('a model that puts what a pooling found back in its place trains on WebGPU as on a CPU', async () => {
  const size = [2, 2, 6, 6]
  const tiles = { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }
  const window = { kernel_shape: ints([3, 3]), strides: ints([2, 2]), pads: ints([1, 1, 1, 0]) }
  const step = (opType: string, inputs: string[], outputs: string[], attributes: Attributes = {}) => {
    return { opType, domain: '', name: outputs[0]!, inputs, outputs, attributes }
  }
  const file = writeModel({
    opset: opsetTarget,
    nodes: [
      step('Add', ['x', 'w'], ['h']),
      step('MaxPool', ['h'], ['largest', 'places'], tiles),
      step('MaxUnpool', ['largest', 'places'], ['spread'], tiles),
      step('MaxPool', ['h'], ['unread', 'overlapping'], window),
      step('Reshape', ['h', 'all'], ['flat']),
      step('Reshape', ['overlapping', 'all'], ['first']),
      step('GatherElements', ['flat', 'first'], ['picked'], { axis: int(0) }),
      step('ReduceSum', ['picked'], ['sum']),
      step('Add', ['spread', 'sum'], ['y']),
    ],
    constants: new Map<string, Constant>([
      [
        'w',
        { dtype: 'float32', shape: size, data: Float32Array.from({ length: 144 }, (_, k) => (k * 7) % 5) },
      ],
      ['all', int64s([1], -1)],
    ]),
    inputs: new Map([['x', { dtype: 'float32', shape: size }]]),
    outputs: new Map([['y', null]]),
  })
  const x = {
    dtype: 'float32',
    shape: size,
    data: Float32Array.from({ length: 144 }, (_, k) => (k * k) % 3),
  } as const
  const gradientOn = async (title: string) => {
    const backend = await openBackend(title)
    const optimizer = { kind: 'sgd', momentum: 0, weightDecay: 0 } as const
    const program = await compileProgram(file, { batch: 2, loss: 'mse', optimizer }, backend)
    const trainer = new Trainer(program, backend)
    const shape = [2, ...program.labels.shape.slice(1)]
    const labels = { dtype: 'float32', shape, data: new Float32Array(sizeOf(shape)) } as const
    const { gradient } = await trainer.gradient({ inputs: { x }, labels })
    await trainer.release()
    return gradient
  }
  const expected = await gradientOn('native')
  const found = await gradientOn('webgpu')
  expect(new Set(expected).size).toBeGreaterThan(5)
  for (const [index, value] of expected.entries()) {
    expect(Math.abs(found[index]! - value)).toBeLessThan(tolerance * Math.max(1, value))
  }
})
