/** Files that bring functions of their own: their nodes are those of the same file without, in names of their own. */
import { create, toBinary } from '@bufbuild/protobuf'
import { expect, test } from 'vitest'
import {
  AttributeProto_AttributeType as AttributeKind,
  AttributeProtoSchema,
  type FunctionProto,
  FunctionProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
} from '../../../engine/onnx/generated/onnx_pb.ts'
import { readModel } from '../../../engine/onnx/read.ts'

const opsetImport = [{ domain: '', version: 18n }]

/** `outputs` = `opType`(`inputs`); an operator with a colon is the function of that name in the domain before it. */
function node(outputs: string, opType: string, inputs: string, attribute: NodeProto['attribute'] = []) {
  const names = (text: string) => text.split(',').map((name) => name.trim())
  const [operator, domain = ''] = opType.split(':').reverse()
  const named = { name: names(outputs)[0]!, domain, opType: operator!, attribute }
  return create(NodeProtoSchema, { ...named, input: names(inputs), output: names(outputs) })
}

const float = (name: string, f: number) =>
  create(AttributeProtoSchema, { name, type: AttributeKind.FLOAT, f })
const refers = (name: string, refAttrName: string) =>
  create(AttributeProtoSchema, { name, type: AttributeKind.FLOAT, refAttrName })
const branch = (name: string, nodes: NodeProto[], output: string) =>
  create(AttributeProtoSchema, {
    name,
    type: AttributeKind.GRAPH,
    g: create(GraphProtoSchema, { node: nodes, output: [{ name: output }] }),
  })

function fn(
  name: string,
  inputs: string,
  nodes: NodeProto[],
  more: Pick<Partial<FunctionProto>, 'attributeProto'> = {},
) {
  const input = inputs.split(',').map((one) => one.trim())
  return create(FunctionProtoSchema, {
    ...{ name, domain: 'own', input, output: ['y'], node: nodes, opsetImport },
    ...more,
  })
}

/** What reading makes of y = `nodes`(x), in which `functions` may be called. */
function read(nodes: NodeProto[], functions: FunctionProto[]) {
  const graph = create(GraphProtoSchema, { node: nodes, output: [{ name: 'y' }] })
  return readModel(
    toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 10n, opsetImport, graph, functions })),
  ).graph.nodes
}

const words = (nodes: ReturnType<typeof read>) =>
  nodes.map(({ opType, inputs, outputs, attributes }) => {
    const values = Object.entries(attributes).map(
      ([name, value]) => `${name}=${'value' in value ? value.value : ''}`,
    )
    return `${outputs} = ${opType}(${inputs})${values.join()}`
  })

test('a call has its operators in its place, with values of its own names and those that it is given', () => {
  const leaky = fn('Leaky', 'x', [node('y', 'LeakyRelu', 'x', [refers('alpha', 'slope')])], {
    attributeProto: [float('slope', 0.5)],
  })
  const layer = fn('Layer', 'x, w, b', [
    node('t', 'Gemm', 'x, w, b'),
    node('y', 'own:Leaky', 't', [refers('slope', 'steepness')]),
  ])
  const nodes = read(
    [node('h', 'own:Layer', 'x, w1, b1', [float('steepness', 0.25)]), node('y', 'own:Layer', 'h, w2')],
    [layer, leaky],
  )
  expect(words(nodes)).toEqual([
    '/h/t = Gemm(x,w1,b1)',
    'h = LeakyRelu(/h/t)alpha=0.25',
    '/y/t = Gemm(h,w2,)',
    'y = LeakyRelu(/y/t)alpha=0.5',
  ])
})

test('no two values get one name, whatever calls and values are called', () => {
  const square = fn('Square', 'x', [node('t', 'Neg', 'x'), node('y', 'Mul', 't, t')])
  const call = (output: string, input: string) => ({ ...node(output, 'own:Square', input), name: 'call' })
  const nodes = read([call('h', 'x'), node('/y/t', 'Abs', 'h'), call('y', '/y/t')], [square])
  expect(words(nodes)).toEqual([
    '/h/t = Neg(x)',
    'h = Mul(/h/t,/h/t)',
    '/y/t = Abs(h)',
    '/y/1/t = Neg(/y/t)',
    'y = Mul(/y/1/t,/y/1/t)',
  ])
})

test('branches inside a function read its values, and functions are called inside branches', () => {
  const twice = fn('Twice', 'x', [node('y', 'Add', 'x, x')])
  const choose = fn('Choose', 'c, x', [
    node('t', 'Neg', 'x'),
    node('y', 'If', 'c', [
      branch('then_branch', [node('a', 'own:Twice', 't')], 'a'),
      branch('else_branch', [node('b', 'Abs', 't')], 'b'),
    ]),
  ])
  const [negation, choice] = read([node('y', 'own:Choose', 'flag, x')], [choose, twice])
  expect(words([negation!])).toEqual(['/y/t = Neg(x)'])
  const bodies = Object.values(choice!.attributes).flatMap((body) =>
    body.kind === 'graph' ? [body.value] : [],
  )
  expect(bodies.flatMap(({ nodes }) => words(nodes))).toEqual(['/y/a = Add(/y/t,/y/t)', '/y/b = Abs(/y/t)'])
  expect(bodies.map(({ outputs }) => outputs)).toEqual([['/y/a'], ['/y/b']])
})

test('functions without an end are refused, and so are few that make very many nodes', () => {
  const endless = fn('Endless', 'x', [node('y', 'own:Endless', 'x')])
  const invalid = expect.objectContaining({ code: 'MODEL_INVALID' })
  expect(() => read([node('y', 'own:Endless', 'x')], [endless])).toThrow(invalid)
  const doublings = Array.from({ length: 30 }, (_, depth) =>
    fn(`F${depth}`, 'x', [node('t', `own:F${depth + 1}`, 'x'), node('y', `own:F${depth + 1}`, 't')]),
  )
  expect(() => read([node('y', 'own:F0', 'x')], [...doublings, fn('F30', 'x', [])])).toThrow(invalid)
})
