/** Small graphs that ask for endless work: each is refused with a code, by what it would come to. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { nodesWithin } from '../../../engine/import/control.ts'
import {
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
} from '../../../engine/onnx/generated/onnx_pb.ts'
import type { Subgraph } from '../../../engine/onnx/graph.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'
import { count, float, float32Input, holder, node, subgraph } from './proto-nodes.ts'

let native: Backend
beforeAll(async () => {
  native = await openNativeBackend({ threads: 1 })
})

const spec = { batch: 1, loss: 'l1', optimizer: { kind: 'sgd', momentum: 0, weightDecay: 0 } } as const

/** y = w·(what `nodes` leave in `z`), of x `[1, width]`. */
function model(width: number, nodes: NodeProto[], ...initializer: TensorProto[]): Uint8Array {
  const graph = create(GraphProtoSchema, {
    name: 'hostile',
    input: [float32Input('x', [1, width])],
    output: [float32Input('y', [1, 1])],
    initializer: [float('w', 1), ...initializer],
    node: [...nodes, node('Mul', ['z', 'w'], 'y')],
  })
  const opsetImport = [{ domain: '', version: 18n }]
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 8n, opsetImport, graph }))
}

/** Parts of `size` elements, of which `z` is the first. */
const split = (size: number): [NodeProto[], ...TensorProto[]] => [
  [node('SplitToSequence', ['x', 'size'], 's', { axis: 1 }), node('SequenceAt', ['s', 'first'], 'z')],
  count('size', size),
  count('first', 0),
]

/** `output` = `start` after `turns` turns of `nodes`, of which none follows from the turn before. */
const idle = (output: string, start: string, nodes: NodeProto[] = [], body = ['turn', 'on', 'h']) =>
  holder('Loop', ['turns', '', start], [output], [subgraph('body', body, nodes, [body[1]!, body[2]!])])

test.each<[string, string, Uint8Array]>([
  ['parts of no elements', 'MODEL_INVALID', model(4, ...split(0))],
  ['a part for each of a million elements', 'LIMIT_EXCEEDED', model(2 ** 20, ...split(1))],
  ['an input larger than any memory', 'LIMIT_EXCEEDED', model(2 ** 40, [node('ReduceSum', ['x'], 'z')])],
  [
    'a value larger than any memory, of a small input',
    'LIMIT_EXCEEDED',
    model(2 ** 18, [
      node('Transpose', ['x'], 't'),
      node('Mul', ['x', 't'], 'square'),
      node('ReduceSum', ['square'], 'z'),
    ]),
  ],
  [
    'loops inside a loop, none of which leaves anything',
    'LIMIT_EXCEEDED',
    model(
      1,
      [
        idle('z', 'x', [
          idle('i', 'h', [node('Neg', ['x'], 'n')], ['t2', 'o2', 'h2']),
          idle('j', 'i', [], ['t3', 'o3', 'h3']),
        ]),
      ].map((outer) => {
        outer.attribute[0]!.g!.output[1]!.name = 'j'
        return outer
      }),
      count('turns', 4_000),
    ),
  ],
])('%s: %s', async (_, code, file) => {
  await expect(compileProgram(file, spec, native)).rejects.toThrow(expect.objectContaining({ code }))
})

test('a scan of a million turns is refused before they are counted', async () => {
  const body = subgraph('body', ['h', 'part'], [node('Add', ['h', 'part'], 'sum')], ['sum'])
  const scan = holder('Scan', ['start', 'column'], ['z'], [body])
  scan.attribute.push(...node('', [], '', { num_scan_inputs: 1 }).attribute)
  const file = model(2 ** 20, [node('Transpose', ['x'], 'column'), scan], float('start', 0))
  await expect(compileProgram(file, spec, native)).rejects.toThrow(
    expect.objectContaining({
      code: 'MODEL_UNSUPPORTED',
      message: expect.stringContaining('turns more than'),
    }),
  )
})

/** A loop, a branch, a sequence and a fold: what the mutations below start from. */
const honest = model(
  1,
  [
    idle('a', 'x', [node('Neg', ['h'], 'n')]),
    holder(
      'If',
      ['truth'],
      ['b'],
      ['then_branch', 'else_branch'].map((name) =>
        subgraph(name, [], [node('Add', ['a', 'k'], 'r')], ['r'], [float('k', 2)]),
      ),
    ),
    node('SequenceConstruct', ['a', 'b'], 's'),
    node('SequenceAt', ['s', 'one'], 'c'),
    node('Shape', ['c'], 'shape'),
    node('ConstantOfShape', ['shape'], 'zeros'),
    node('Expand', ['c', 'shape'], 'd'),
    node('Add', ['d', 'zeros'], 'e'),
    node('Slice', ['e', 'from', 'to'], 'z'),
  ],
  count('turns', 2),
  count('one', 1),
  { ...count('truth', 1), dataType: 9, int64Data: [], int32Data: [1] },
  { ...count('from', 0), dims: [1n] },
  { ...count('to', 1), dims: [1n] },
)

const copied = (node: NodeProto) => fromBinary(NodeProtoSchema, toBinary(NodeProtoSchema, node))

/** Every graph of `graph`, itself first. */
const graphsIn = (graph: NonNullable<NodeProto['attribute'][number]['g']>): (typeof graph)[] => [
  graph,
  ...graph.node.flatMap(({ attribute }) => attribute.flatMap(({ g }) => (g ? graphsIn(g) : []))),
]

test('what is left of a model when its parts are exchanged compiles, or is refused with a code', async () => {
  await expect(compileProgram(honest, spec, native)).resolves.toBeDefined()
  const kinds = [
    'input',
    'output',
    'drop input',
    'drop output',
    'operator',
    'attribute',
    'drop node',
    'again',
  ] as const
  const edit = fc.record({ kind: fc.constantFrom(...kinds), at: fc.nat(99), to: fc.nat(99) })
  let compiled = 0
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), async (edits) => {
      const file = fromBinary(ModelProtoSchema, honest)
      for (const { kind, at, to } of edits) {
        const graphs = graphsIn(file.graph!)
        const nodes = graphs.flatMap((graph) => graph.node)
        const names = [...new Set(nodes.flatMap(({ input, output }) => [...input, ...output])), '']
        const one = nodes[at % nodes.length]!
        const other = copied(nodes[to % nodes.length]!)
        const name = names[to % names.length]!
        if (kind === 'input') one.input[to % Math.max(1, one.input.length)] = name
        if (kind === 'output') one.output[0] = name
        if (kind === 'drop input') one.input.pop()
        if (kind === 'drop output') one.output.pop()
        if (kind === 'operator') one.opType = other.opType
        if (kind === 'attribute') one.attribute = other.attribute
        const graph = graphs[at % graphs.length]!
        if (kind === 'drop node') graph.node.splice(to % graph.node.length, 1)
        if (kind === 'again') graph.node.push(other)
      }
      try {
        await compileProgram(toBinary(ModelProtoSchema, file), spec, native)
        compiled++
      } catch (error) {
        if (!(error instanceof SwarmError)) throw error
      }
    }),
    { seed: 11, numRuns: Number(process.env.STARLING_TEST_MUTATIONS ?? 200) },
  )
  expect(compiled).toBeGreaterThan(0)
})

test('a turn counts what lies in the branches of its body', () => {
  const plain = { domain: '', name: '', inputs: [], outputs: [], attributes: {} }
  const graphOf = (nodes: Subgraph['nodes']): Subgraph => ({
    nodes,
    constants: new Map(),
    inputs: [],
    outputs: [],
  })
  const branch = {
    kind: 'graph',
    value: graphOf([1, 2, 3].map(() => ({ ...plain, opType: 'Neg' }))),
  } as const
  const chosen = { ...plain, opType: 'If', attributes: { then_branch: branch, else_branch: branch } }
  expect(nodesWithin(graphOf([chosen, { ...plain, opType: 'Neg' }]))).toBe(2 + 3 + 3)
})
