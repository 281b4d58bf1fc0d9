/** Branches and loops mean what onnxruntime says that they mean, whatever their values are called. */
import { create, toBinary } from '@bufbuild/protobuf'
import { beforeAll, expect, test } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { prepare } from '../../../engine/import/import-model.ts'
import { validate } from '../../../engine/model/validate.ts'
import {
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
  TensorProtoSchema,
} from '../../../engine/onnx/generated/onnx_pb.ts'
import { narrowed } from '../../../engine/onnx/half.ts'
import { readModel } from '../../../engine/onnx/read.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import { Trainer } from '../../../engine/training/trainer.ts'
import { count, float, float32Input, holder, node, subgraph, truth } from './proto-nodes.ts'

let native: Backend
beforeAll(async () => {
  native = await openNativeBackend({ threads: 1 })
})

/** `output` = `condition` ? what `yes` make of a value : what `no` make of one; both leave it in `result`. */
function choice(
  output: string,
  condition: string,
  yes: readonly [string, NodeProto[], TensorProto[]?],
  no: readonly [string, NodeProto[], TensorProto[]?] = yes,
): NodeProto {
  const branches = [
    subgraph('then_branch', [], yes[1], [yes[0]], yes[2]),
    subgraph('else_branch', [], no[1], [no[0]], no[2]),
  ]
  return holder('If', [condition], [output], branches)
}

/** y = w·(what `nodes` leave in `z`), of x `[1, 1]`; w is 1. */
function model(nodes: NodeProto[], ...initializer: TensorProto[]): Uint8Array {
  const graph = create(GraphProtoSchema, {
    name: 'subgraphs',
    input: [float32Input('x', [1, 1])],
    output: [float32Input('y', [1, 1])],
    initializer: [float('w', 1), truth('yes', true), truth('no', false), ...initializer],
    node: [...nodes, node('Mul', ['z', 'w'], 'y')],
  })
  const opsetImport = [{ domain: '', version: 18n }]
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 8n, opsetImport, graph }))
}

const x = { dtype: 'float32', shape: [1, 1], data: Float32Array.of(1) } as const
const spec = {
  batch: 1,
  loss: 'l1',
  optimizer: { kind: 'sgd', momentum: 0, weightDecay: 0 },
} as const

/** y of the file as onnxruntime runs it, and as the program has it. */
async function both(file: Uint8Array): Promise<[number, number]> {
  const itself = await native.compile(file)
  const [y] = Object.values(await itself.run({ x }))
  await itself.release()
  return [y!.data[0] as number, await ours(file)]
}

/** The size of y: the mean distance from 0 to it. */
async function ours(file: Uint8Array): Promise<number> {
  const trainer = new Trainer(await compileProgram(file, spec, native), native)
  const labels = { dtype: 'float32', shape: [1, 1], data: Float32Array.of(0) } as const
  const { loss } = await trainer.gradient({ inputs: { x }, labels })
  await trainer.release()
  return loss
}

const twice = (input: string, output: string) => node('Add', [input, input], output)

/** A Loop of two turns that starts with `start`, by a body whose value `h` is the carried one. */
const loop = (
  output: string,
  start: string,
  nodes: NodeProto[],
  result: string,
  initializer: TensorProto[] = [],
) =>
  holder(
    'Loop',
    ['turns', '', start],
    [output],
    [
      subgraph(
        'body',
        ['turn', 'on', 'h'],
        [node('Identity', ['on'], 'goes'), ...nodes],
        ['goes', result],
        initializer,
      ),
    ],
  )

test.each<[string, Uint8Array, number]>([
  [
    'an Identity of one branch has the name of a product of the other',
    model(
      [
        choice(
          'z',
          'no',
          ['r', [node('Identity', ['x'], 't'), twice('t', 'r')]],
          ['r', [node('Mul', ['x', 'five'], 't'), twice('t', 'r')]],
        ),
      ],
      float('five', 5),
    ),
    10,
  ],
  [
    'two branches have constants of one name',
    model([
      choice('a', 'yes', ['r', [node('Mul', ['x', 'k'], 'r')], [float('k', 2)]]),
      choice('b', 'yes', ['r', [node('Mul', ['x', 'k'], 'r')], [float('k', 3)]]),
      node('Add', ['a', 'b'], 'z'),
    ]),
    5,
  ],
  [
    'two loops have the same names and other constants',
    model(
      [
        loop('a', 'x', [node('Mul', ['h', 'k'], 't')], 't', [float('k', 2)]),
        loop('b', 'x', [node('Mul', ['h', 'k'], 't')], 't', [float('k', 3)]),
        node('Add', ['a', 'b'], 'z'),
      ],
      count('turns', 2),
    ),
    13,
  ],
  [
    'a loop has a choice in it, whose branches have the names of the body',
    model(
      [
        loop(
          'z',
          'x',
          [
            choice('t', 'yes', ['u', [node('Mul', ['h', 'k'], 'u')], [float('k', 2)]]),
            node('Mul', ['t', 'k'], 'u'),
          ],
          'u',
          [float('k', 3)],
        ),
      ],
      count('turns', 2),
    ),
    36,
  ],
  [
    'a file has a value called as the turns of its loop could be',
    model(
      [loop('z', 'x', [node('Mul', ['h', 'k'], 'm'), node('Add', ['m', 'z/0/turn'], 't')], 't')],
      count('turns', 2),
      float('k', 3),
      float('z/0/turn', 1),
    ),
    13,
  ],
  [
    'a file has values called as those that are made for a sequence and a compression',
    model(
      [
        node('SequenceConstruct', ['x', 'c/axes'], 's'),
        node('ConcatFromSequence', ['s'], 'c', { axis: 0, new_axis: 1 }),
        node('Compress', ['c', 'both'], 'k'),
        node('ReduceMax', ['k'], 'most', { keepdims: 0 }),
        node('Add', ['most', 'c/axes'], 'k/kept'),
        node('Add', ['k/kept', 'k/flat'], 'z'),
      ],
      { ...float('c/axes', 5), dims: [1n, 1n] },
      { ...float('k/flat', 7), dims: [1n, 1n] },
      { ...truth('both', true), dims: [2n], int32Data: [1, 1] },
    ),
    17,
  ],
  [
    'a node is called as one that is made',
    model(
      [
        { ...node('Neg', ['x'], 'n'), name: 'k~>flat' },
        { ...node('Compress', ['n', 'one'], 'k'), name: 'first' },
        { ...node('Unsqueeze', ['k', 'axis'], 'u'), name: 'second' },
        { ...node('Neg', ['u'], 'z'), name: 'third' },
      ],
      { ...truth('one', true), dims: [1n] },
      { ...count('axis', 1), dims: [1n] },
    ),
    1,
  ],
])('%s', async (_, file, expected) => {
  expect(await both(file)).toEqual([expected, expected])
})

test('a file whose values have the mark of made ones is refused, by the name', () => {
  const file = model([node('Neg', ['x'], 'n~>axes'), node('Neg', ['n~>axes'], 'z')])
  expect(() => prepare(readModel(file), () => true)).toThrow(
    expect.objectContaining({ code: 'MODEL_UNSUPPORTED', message: expect.stringContaining("'n~>axes'") }),
  )
})

test('16-bit floats in a branch of a branch and in a body are widened', async () => {
  const half = (name: string, value: number) => {
    const bits = narrowed(Float32Array.of(value), 'float16')
    return create(TensorProtoSchema, { name, dataType: 10, dims: [1n], int32Data: [...bits] })
  }
  const file = model(
    [
      node('Cast', ['x'], 'a', { to: 10 }),
      choice('b', 'yes', ['r', [choice('r', 'no', ['s', [node('Mul', ['a', 'k'], 's')], [half('k', 3)]])]]),
      node('Cast', ['b'], 'c', { to: 1 }),
      loop(
        'z',
        'c',
        [
          node('Cast', ['h'], 'n', { to: 10 }),
          node('Mul', ['n', 'l'], 'm'),
          node('Cast', ['m'], 't', { to: 1 }),
        ],
        't',
        [half('l', 0.5)],
      ),
    ],
    count('turns', 2),
  )
  expect(await both(file)).toEqual([0.75, 0.75])
})

/** onnxruntime cannot be asked: it refuses none of these, and one ends the process. */
test.each<[string, Uint8Array, number]>([
  [
    'a branch leaves its result under the name of its node',
    model([choice('z', 'yes', ['z', [twice('x', 'z')]])]),
    2,
  ],
  [
    'a branch calls a value as the graph around it calls one that it makes later',
    model([
      choice('a', 'yes', ['b', [node('Mul', ['x', 'k'], 'b')], [float('k', 7)]]),
      node('Sub', ['a', 'x'], 'b'),
      node('Add', ['b', 'b'], 'z'),
    ]),
    12,
  ],
  [
    'a result that nobody reads stands for no value that is left out',
    model(
      [
        holder(
          'If',
          ['yes'],
          ['', 'a'],
          ['then_branch', 'else_branch'].map((name) =>
            subgraph(name, [], [twice('x', 'unread'), node('Neg', ['x'], 'r')], ['unread', 'r']),
          ),
        ),
        node('Clip', ['a', '', 'most'], 'z'),
      ],
      create(TensorProtoSchema, { ...float('most', 0.5), dims: [] }),
    ),
    1,
  ],
])('%s', async (_, file, expected) => {
  expect(await ours(file)).toBe(expected)
})

test.each<[string, Uint8Array]>([
  ['a branch whose result is its own node', model([choice('z', 'yes', ['z', []])])],
  ['the same, one branch further in', model([choice('z', 'yes', ['r', [choice('r', 'yes', ['r', []])]])])],
  ['a loop that starts with its own result', model([loop('z', 'z', [], 'h')], count('turns', 2))],
  [
    'a sequence that holds its own member',
    model(
      [node('SequenceConstruct', ['z'], 's'), node('SequenceAt', ['s', 'turns'], 'z')],
      count('turns', 0),
    ),
  ],
  ['a value that is made twice', model([node('Neg', ['x'], 'z'), node('Abs', ['x'], 'z')])],
  [
    'a branch of fewer values than its node',
    model([
      holder(
        'If',
        ['yes'],
        ['z', 'more'],
        [subgraph('then_branch', [], [], ['x']), subgraph('else_branch', [], [], ['x'])],
      ),
    ]),
  ],
])('%s is refused', async (_, file) => {
  await expect(compileProgram(file, spec, native)).rejects.toThrow(
    expect.objectContaining({ code: 'MODEL_INVALID' }),
  )
})

test('tensors that branches and bodies hold are no weights, and a warning names them, but no literals', () => {
  const inner = choice(
    'r',
    'no',
    ['s', [node('Neg', ['t'], 's')]],
    ['s', [node('Mul', ['t', 'k'], 's')], [float('k', 3)]],
  )
  const literal = create(TensorProtoSchema, { ...float('literal', 2), dims: [] })
  const body = [node('Add', ['h', 'bias'], 'g'), node('Mul', ['g', 'literal'], 't'), inner]
  const file = model([loop('z', 'x', body, 'r', [float('bias', 1), literal])], count('turns', 2))
  const { parameters, warnings } = validate(file)
  expect(parameters.map(({ name }) => name)).toEqual(['w'])
  expect(warnings).toEqual([
    expect.stringContaining("2 tensors inside branches or loops ('bias', 'k') are not trained"),
  ])
})

test('what is inside gives way: weights keep the names of the file', () => {
  const file = model([choice('z', 'yes', ['r', [node('Mul', ['x', 'w'], 'r')], [float('w', 3)]])])
  expect([...prepare(readModel(file), () => true).parameters.keys()]).toEqual(['w'])
})
