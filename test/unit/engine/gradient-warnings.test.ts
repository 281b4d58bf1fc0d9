/** Models that would train without an error, and not as meant: what is said of them, and what is not. */
import { expect, test } from 'vitest'
import { validate } from '../../../engine/model/validate.ts'
import { type Attributes, int, type Node } from '../../../engine/onnx/graph.ts'
import type { Constant } from '../../../engine/onnx/types.ts'
import { writeModel } from '../../../engine/onnx/write.ts'

const node = (opType: string, inputs: string[], output: string, attributes: Attributes = {}): Node => ({
  opType,
  domain: '',
  name: `the ${opType}`,
  inputs,
  outputs: [output],
  attributes,
})

const tensor = (...values: number[]): Constant => ({
  dtype: 'float32',
  shape: [1, values.length],
  data: Float32Array.from(values),
})

/** y, [2, 3], of `nodes`, which read the sample 'x' and the weights 'w', 'v' and 'mask', all of 3. */
const model = (...nodes: Node[]) =>
  writeModel({
    opset: 18,
    nodes,
    constants: new Map([
      ['w', tensor(0.4, 1.7, -2.2)],
      ['v', tensor(0.3, -0.6, 0.9)],
      ['mask', tensor(0.2, 0.5, 0.1)],
      ['shape', { dtype: 'int64', shape: [2], data: BigInt64Array.of(-1n, 3n) }],
    ]),
    inputs: new Map([['x', { dtype: 'float32', shape: [2, 3] }]]),
    outputs: new Map([['y', null]]),
  })

const toFloat = { to: int(1) }
const toInt64 = { to: int(7) }

test.each([
  ['Softmax', 'softmax_cross_entropy'],
  ['Softmax', 'binary_cross_entropy'],
  ['Sigmoid', 'binary_cross_entropy'],
] as const)('warns of a %s under %s, also where it is moved afterwards', (operator, loss) => {
  const logits = node('Mul', ['x', 'w'], 'z')
  const message = expect.stringMatching(
    `the output is a ${operator} \\(node 'the ${operator}'\\), and ${loss} takes logits.*export the model without it`,
  )
  expect(validate(model(logits, node(operator, ['z'], 'y')), { loss }).warnings).toEqual([message])
  const moved = [
    node('Cast', ['p'], 'c', toFloat),
    node('Reshape', ['c', 'shape'], 'r'),
    node('Identity', ['r'], 'y'),
  ]
  expect(validate(model(logits, node(operator, ['z'], 'p'), ...moved), { loss }).warnings).toEqual([message])
})

test('warns by all losses that fit where no job names one', () => {
  const file = model(node('Mul', ['x', 'w'], 'z'), node('Softmax', ['z'], 'y'))
  expect(validate(file).warnings).toEqual([
    expect.stringContaining('softmax_cross_entropy and binary_cross_entropy take logits'),
  ])
})

test.each([
  ['Softmax', 'mse'],
  ['Sigmoid', 'l1'],
  ['LogSoftmax', 'softmax_cross_entropy'],
  ['Relu', 'softmax_cross_entropy'],
] as const)('says nothing of a %s under %s', (operator, loss) => {
  const file = model(node('Mul', ['x', 'w'], 'z'), node(operator, ['z'], 'y'))
  expect(validate(file, { loss }).warnings).toEqual([])
})

test.each([
  ['a rounding', 'Round', [node('Round', ['v'], 'r')]],
  ['a cast', 'Cast', [node('Cast', ['v'], 'i', toInt64), node('Cast', ['i'], 'r', toFloat)]],
  [
    'a comparison',
    'Greater',
    [node('Mul', ['x', 'v'], 'p'), node('Greater', ['p', 'x'], 'b'), node('Cast', ['b'], 'r', toFloat)],
  ],
  [
    'a pick',
    'ArgMax',
    [node('Mul', ['x', 'v'], 'p'), node('ArgMax', ['p'], 'i'), node('Cast', ['i'], 'r', toFloat)],
  ],
])('warns of a weight behind %s, which keeps its value', (_, operator, nodes) => {
  const { parameters, warnings } = validate(
    model(node('Mul', ['x', 'w'], 'z'), ...nodes, node('Add', ['z', 'r'], 'y')),
    { loss: 'mse' },
  )
  expect(parameters.map(({ name }) => name)).toEqual(['w'])
  expect(warnings).toEqual([
    expect.stringMatching(
      `weights that get no gradient.*\\(1: 'v'\\): none flows.*${operator} \\(node 'the ${operator}'\\)`,
    ),
  ])
})

test('says nothing of a weight that a rounding and a product read, nor of a mask that is compared', () => {
  const nodes = [
    node('Round', ['v'], 'r'),
    node('Mul', ['r', 'v'], 's'),
    node('Greater', ['x', 'mask'], 'b'),
    node('Where', ['b', 's', 'w'], 'y'),
  ]
  const { parameters, warnings } = validate(model(...nodes), { loss: 'mse' })
  expect(parameters.map(({ name }) => name)).toEqual(['w', 'v'])
  expect(warnings).toEqual([])
})
