/** Files made to hurt: each is refused with a code before it takes memory or time, none ends the process. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { validate } from '../../../engine/model/validate.ts'
import {
  AttributeProto_AttributeType as AttributeKind,
  AttributeProtoSchema,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
} from '../../../engine/onnx/generated/onnx_pb.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'
import { foldedOperationsMax, graphNodesMax } from '../../../protocols/core/limits.ts'
import { modelBytes } from './pytorch-models.ts'

const honest = modelBytes('ties_first.onnx')
const optimizer = { kind: 'sgd', momentum: 0, weightDecay: 0 } as const
let native: Backend

beforeAll(async () => {
  native = await openNativeBackend({ threads: 1 })
})

function changed(change: (graph: NonNullable<ModelProto['graph']>) => void): Uint8Array {
  const model = fromBinary(ModelProtoSchema, honest.slice()) // its tensors are views into the bytes
  change(model.graph!)
  return toBinary(ModelProtoSchema, model)
}

const integers = (name: string, ...values: number[]) =>
  create(TensorProtoSchema, {
    name,
    dataType: 7,
    dims: [BigInt(values.length)],
    int64Data: values.map(BigInt),
  })

const node = (opType: string, input: string[], output: string) =>
  create(NodeProtoSchema, { opType, name: `evil ${opType}`, input, output: [output] })

/** The model's output plus a constant that `nodes` compute from `tensors` and leave in `evil`. */
function withConstant(
  tensors: readonly ReturnType<typeof integers>[],
  ...nodes: readonly ReturnType<typeof node>[]
): Uint8Array {
  return changed((graph) => {
    const [output] = graph.output
    const last = graph.node.find((candidate) => candidate.output.includes(output!.name))!
    last.output = last.output.map((name) => (name === output!.name ? 'good' : name))
    graph.initializer.push(...tensors)
    const sum = [node('Cast', ['evil'], 'evil_f32'), node('ReduceMax', ['evil_f32'], 'most')]
    sum[0]!.attribute = [create(AttributeProtoSchema, { name: 'to', type: AttributeKind.INT, i: 1n })]
    graph.node.push(...nodes, ...sum, node('Add', ['good', 'most'], output!.name))
  })
}

async function refusal(bytes: Uint8Array): Promise<SwarmError> {
  const spec = { batch: 3, loss: 'softmax_cross_entropy', optimizer } as const
  const error = await compileProgram(bytes, spec, native).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(SwarmError)
  return error as SwarmError
}

describe('a constant that would explode while it is folded', () => {
  it.each([
    [
      'filled to a terabyte',
      withConstant([integers('evil_s', 2 ** 19, 2 ** 19)], node('ConstantOfShape', ['evil_s'], 'evil')),
    ],
    [
      'repeated',
      withConstant(
        [integers('evil_x', 1, 2), integers('evil_n', 2 ** 40)],
        node('Tile', ['evil_x', 'evil_n'], 'evil'),
      ),
    ],
    [
      'stretched',
      withConstant(
        [integers('evil_x', 7), integers('evil_s', 2 ** 20, 2 ** 20)],
        node('Expand', ['evil_x', 'evil_s'], 'evil'),
      ),
    ],
    [
      'squared by broadcasting, from a shape that is computed itself',
      withConstant(
        [integers('evil_n', 2 ** 16), integers('evil_column', 2 ** 16, 1)],
        node('ConstantOfShape', ['evil_n'], 'evil_row'),
        node('Reshape', ['evil_row', 'evil_column'], 'evil_upright'),
        node('Add', ['evil_row', 'evil_upright'], 'evil'),
      ),
    ],
    [
      'one of three, each of which alone may be that large',
      withConstant(
        [integers('evil_s', 2 ** 26)],
        ...[1, 2, 3].flatMap((part) => [
          node('ConstantOfShape', ['evil_s'], `evil_row_${part}`),
          node('ReduceMax', [`evil_row_${part}`], `evil_most_${part}`),
        ]),
        node('Sum', ['evil_most_1', 'evil_most_2', 'evil_most_3'], 'evil'),
      ),
    ],
  ])('is refused when it is %s', async (_, bytes) => {
    const before = process.memoryUsage().rss
    const { code, message } = await refusal(bytes)
    expect([code, message]).toEqual(['LIMIT_EXCEEDED', expect.stringContaining("node 'evil ")])
    expect(process.memoryUsage().rss - before).toBeLessThan(256 << 20)
  })
})

describe('a constant of little size and much work', () => {
  it.each([
    [
      'one product of two large matrices',
      withConstant(
        [integers('evil_s', 2048, 2048)],
        node('ConstantOfShape', ['evil_s'], 'evil_a'),
        node('MatMul', ['evil_a', 'evil_a'], 'evil_b'),
        node('ReduceSum', ['evil_b'], 'evil'),
      ),
      "MatMul (node 'evil MatMul')",
    ],
    [
      'a hundred products of small ones, each of the one before',
      withConstant(
        [integers('evil_s', 256, 256)],
        node('ConstantOfShape', ['evil_s'], 'evil_0'),
        ...Array.from({ length: 100 }, (_, index) =>
          node('MatMul', [`evil_${index}`, 'evil_0'], `evil_${index + 1}`),
        ),
        node('ReduceSum', ['evil_100'], 'evil'),
      ),
      'MatMul',
    ],
  ])('is refused: %s', async (_, bytes, where) => {
    const { code, message, hint } = await refusal(bytes)
    expect([code, message]).toEqual(['LIMIT_EXCEEDED', expect.stringContaining(where)])
    expect(message).toContain(`at most ${foldedOperationsMax} are folded`)
    expect(hint).toBeDefined()
  })
})

it.each([
  [
    'a tensor of a thousand million elements without data',
    changed((graph) => {
      const tensor = graph.initializer[0]!
      tensor.dims = [1_000_000_000n]
      tensor.rawData = new Uint8Array()
      tensor.floatData = []
    }),
    'MODEL_INVALID',
  ],
  [
    'more nodes than any model has',
    changed((graph) => {
      const filler = graph.node[0]!
      graph.node = Array.from({ length: graphNodesMax + 1 }, () => filler)
    }),
    'MODEL_INVALID',
  ],
  ['subgraphs within subgraphs within subgraphs', nested(5_000), 'MODEL_INVALID'],
  [
    'weights that are no numbers',
    changed((graph) => {
      for (const { rawData } of graph.initializer) rawData.fill(0xff)
    }),
    'MODEL_UNSUPPORTED',
  ],
] as const)('%s is refused', async (_, bytes, code) => {
  expect((await refusal(bytes)).code).toBe(code)
})

it('a graph that reads its own result is refused', async () => {
  const bytes = changed((graph) => {
    const first = graph.node[0]!
    first.input = [graph.output[0]!.name, ...first.input.slice(1)]
  })
  expect((await refusal(bytes)).code).toMatch(/^MODEL_/)
})

it('two thousand mutations of a file are described or refused with a code, and nothing else', () => {
  const edit = fc.record({
    at: fc.nat(honest.length - 1),
    remove: fc.nat(4),
    insert: fc.uint8Array({ maxLength: 6 }),
  })
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
      let bytes = [...honest]
      for (const { at, remove, insert } of edits)
        bytes = bytes.toSpliced(at % bytes.length, remove, ...insert)
      try {
        validate(Uint8Array.from(bytes))
      } catch (error) {
        expect(error).toBeInstanceOf(SwarmError)
      }
    }),
    { seed: 7, numRuns: 2_000, interruptAfterTimeLimit: 10_000 },
  )
})

/** A file whose only node has a graph, whose only node has a graph, ... */
function nested(depth: number): Uint8Array {
  // Fields by number, as in onnx.proto: ModelProto.graph 7, GraphProto.node 1, NodeProto.attribute 5,
  // AttributeProto.g 6.
  const wrap = (field: number, bytes: Uint8Array): Uint8Array => {
    const head = [(field << 3) | 2]
    let rest = bytes.length
    for (; rest > 127; rest >>>= 7) head.push((rest & 127) | 128)
    const wrapped = new Uint8Array(head.length + 1 + bytes.length)
    wrapped.set([...head, rest])
    wrapped.set(bytes, head.length + 1)
    return wrapped
  }
  let graph: Uint8Array = toBinary(GraphProtoSchema, create(GraphProtoSchema, { name: 'innermost' }))
  for (let level = 0; level < depth; level++) graph = wrap(1, wrap(5, wrap(6, graph)))
  return wrap(7, graph)
}
