/** What exporters write now and then and few runtimes take: each with the gradients of the usual way to write it. */
import { beforeAll, expect, test } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { graphBatch } from '../../../engine/model/graph-batch.ts'
import { int, ints, type Node } from '../../../engine/onnx/graph.ts'
import type { Constant } from '../../../engine/onnx/types.ts'
import { writeModel } from '../../../engine/onnx/write.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import type { TrainingSpec } from '../../../engine/program/training-program.ts'
import { Trainer } from '../../../engine/training/trainer.ts'
import type { Batch } from '../../../protocols/core/tensor.ts'
import { changed } from './changed-model.ts'
import { modelBytes, pytorchModels } from './pytorch-models.ts'

let backend: Backend
beforeAll(async () => {
  backend = await openNativeBackend({ threads: 1 })
})

const sgd = { kind: 'sgd', momentum: 0, weightDecay: 0 } as const

async function gradientOf(file: Uint8Array, spec: TrainingSpec, batch: Batch) {
  const program = await compileProgram(file, spec, backend)
  const trainer = new Trainer(program, backend)
  const { gradient } = await trainer.gradient(batch)
  await trainer.release()
  return { parameters: program.parameters, gradient: gradient.slice() }
}

const node = (
  opType: string,
  inputs: string[],
  output: string,
  attributes: Node['attributes'] = {},
): Node => ({
  opType,
  domain: '',
  name: output,
  inputs,
  outputs: [output],
  attributes,
})
const floats = (shape: readonly number[], ...data: number[]): Constant => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(data),
})

/** Operator sets before 14 had no attribute for the mode. */
test('a BatchNormalization whose five outputs say that it trains does what one with a single output does', async () => {
  const { file, x, labels } = pytorchModels.cnn_torchscript!
  const batch: Batch = {
    inputs: { x: { dtype: 'float32', shape: x.shape, data: Float32Array.from(x.data) } },
    labels: { dtype: 'int32', shape: labels.shape, data: Int32Array.from(labels.data) },
  }
  const spec: TrainingSpec = { batch: x.shape[0]!, loss: 'softmax_cross_entropy', optimizer: sgd }
  const usual = modelBytes(file)
  const training = changed(usual, (model) => {
    const norm = model.graph!.node.find(({ opType }) => opType === 'BatchNormalization')!
    norm.output.push('next mean', 'next variance', 'saved mean', 'saved variance')
  })
  const expected = await gradientOf(usual, spec, batch)
  const found = await gradientOf(training, spec, batch)
  expect(found.parameters).toEqual(expected.parameters)
  expect(found.gradient).toEqual(expected.gradient)
})

/** torch.onnx of PyTorch 2.15 gives it two dimensions where a Conv3d has none, and no runtime takes it. */
test('a bias of zeros that an exporter made up is none', async () => {
  const given = floats([2, 1, 2, 1], 0.3, -0.7, 1.1, 0.2)
  const convolved = (nodes: readonly Node[], bias: readonly string[]) =>
    writeModel({
      opset: 18,
      nodes: [...nodes, node('Conv', ['x', 'w', ...bias], 'y', { kernel_shape: ints([2, 1]) })],
      constants: new Map<string, Constant>([
        ['w', given],
        ['zero', floats([], 0)],
        ['shape', { dtype: 'int64', shape: [2], data: BigInt64Array.of(2n, 2n) }],
      ]),
      inputs: new Map([['x', { dtype: 'float32', shape: [2, 1, 3, 1] }]]),
      outputs: new Map([['y', null]]),
    })
  const batch: Batch = {
    inputs: { x: { dtype: 'float32', shape: [2, 1, 3, 1], data: Float32Array.of(1, 2, -1, 0.5, 3, 2) } },
    labels: { dtype: 'float32', shape: [2, 2, 2, 1], data: new Float32Array(8).fill(0.5) },
  }
  const spec: TrainingSpec = { batch: 2, loss: 'mse', optimizer: sgd }
  const odd = await gradientOf(convolved([node('Expand', ['zero', 'shape'], 'made')], ['made']), spec, batch)
  const usual = await gradientOf(convolved([], []), spec, batch)
  expect(odd.gradient).toEqual(usual.gradient)
  expect(odd.gradient.some((value) => value !== 0)).toBe(true)
})

test('a row of zeros has no direction, and leaves the gradients of other rows alone', async () => {
  const model = writeModel({
    opset: 18,
    nodes: [
      node('LpNormalization', ['w'], 'directions', { axis: int(-1) }),
      node('Add', ['directions', 'x'], 'y'),
    ],
    constants: new Map([['w', floats([2, 2], 0, 0, 3, 4)]]),
    inputs: new Map([['x', { dtype: 'float32', shape: [2, 2] }]]),
    outputs: new Map([['y', null]]),
  })
  const zeros = { dtype: 'float32', shape: [2, 2], data: new Float32Array(4) } as const
  const batch: Batch = { inputs: { x: { ...zeros, data: Float32Array.of(0, 0, 1, 0) } }, labels: zeros }
  const { gradient } = await gradientOf(model, { batch: 2, loss: 'mse', optimizer: sgd }, batch)
  // y = (0.6, 0.8) + (1, 0): dy = y/2, and of that what is across (0.6, 0.8), over the norm 5
  const [a, b] = [0.8, 0.4]
  const along = 0.6 * a + 0.8 * b
  expect(gradient[2]).toBeCloseTo((a - 0.6 * along) / 5, 6)
  expect(gradient[3]).toBeCloseTo((b - 0.8 * along) / 5, 6)
  expect([...gradient.slice(0, 2)]).toEqual([0, 0])
})

test('a bound that a model computes moves, and one that its file gives is a literal of any shape', async () => {
  const shape = [2, 3]
  const bounded = (nodes: readonly Node[]) =>
    writeModel({
      opset: 18,
      nodes: [...nodes, node('Add', ['bounded', 'x'], 'y')],
      constants: new Map([
        ['w', floats(shape, 0.4, -1.2, 2.5, 0.9, 3.1, -0.3)],
        ['low', floats([1], -0.5)],
        ['ceilings', floats([2], 0.7, 1.3)],
      ]),
      inputs: new Map([['x', { dtype: 'float32', shape }]]),
      outputs: new Map([['y', null]]),
    })
  const high = node('ReduceMean', ['ceilings'], 'high', { keepdims: int(0) })
  const clipped = bounded([high, node('Clip', ['w', 'low', 'high'], 'bounded')])
  const batch: Batch = {
    inputs: { x: { dtype: 'float32', shape, data: Float32Array.of(1, 2, 3, 4, 5, 6) } },
    labels: { dtype: 'float32', shape, data: new Float32Array(6) },
  }
  const { parameters, gradient } = await gradientOf(clipped, { batch: 2, loss: 'mse', optimizer: sgd }, batch)
  expect(parameters.map(({ name }) => name)).toEqual(['w', 'ceilings'])
  // y = x + (0.4, -0.5, 1, 0.9, 1, -0.3); dy = y/3; two elements lie above the mean of the ceilings, one below
  const expected = [1.4 / 3, 0, 0, 4.9 / 3, 0, 5.7 / 3, (4 + 6) / 3 / 2, (4 + 6) / 3 / 2]
  for (const [index, value] of expected.entries()) expect(gradient[index]).toBeCloseTo(value, 5)
})

test('a model that compares its only input with what it makes of it trains on labels alone', async () => {
  const file = writeModel({
    opset: 18,
    nodes: [
      node('Mul', ['x', 'w'], 'made'),
      node('Sub', ['made', 'x'], 'error'),
      node('Mul', ['error', 'error'], 'square'),
      node('ReduceMean', ['square'], 'loss', { keepdims: int(0) }),
    ],
    constants: new Map([['w', floats([2], 0.5, 2)]]),
    inputs: new Map([['x', { dtype: 'float32', shape: [2, 2] }]]),
    outputs: new Map([['loss', null]]),
  })
  const labels = { dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) } as const
  const spec: TrainingSpec = { batch: 2, loss: 'in_model', labelsName: 'x', optimizer: sgd }
  const { gradient } = await gradientOf(file, spec, { inputs: {}, labels })
  // Σ 2·(w - 1)·x²/4
  expect([...gradient]).toEqual([(-0.5 * (1 + 9)) / 2, (4 + 16) / 2])
})

/** Nodes with features x, edges e from their first row on: y = x·w plus the sum over what the edges start from. */
const graphNetwork = (inputs: readonly Node[], output: readonly Node[], front: readonly number[]) =>
  writeModel({
    opset: 18,
    nodes: [
      ...inputs,
      node('MatMul', ['nodes', 'w'], 'h'),
      node('Gather', ['edges', 'first'], 'sources', { axis: int(0) }),
      node('Gather', ['h', 'sources'], 'messages', { axis: int(0) }),
      node('ReduceSum', ['messages', 'axis'], 'sum'),
      node('Add', ['h', 'sum'], 'y'),
      ...output,
    ],
    constants: new Map<string, Constant>([
      ['w', floats([2, 2], 0.5, -1, 2, 0.25)],
      ['first', { dtype: 'int64', shape: [], data: BigInt64Array.of(0n) }],
      ['axis', { dtype: 'int64', shape: [1], data: BigInt64Array.of(0n) }],
    ]),
    inputs: new Map([
      [front.length === 0 ? 'nodes' : 'x', { dtype: 'float32' as const, shape: [...front, 3, 2] }],
      [front.length === 0 ? 'edges' : 'e', { dtype: 'int64' as const, shape: [...front, 2, 4] }],
    ]),
    outputs: new Map([[output.at(-1)?.outputs[0] ?? 'y', null]]),
  })

test('a model whose inputs have no batch takes each sample whole, and a batch of them in pieces', async () => {
  const whole = graphNetwork([], [], [])
  const squeezes = [node('Squeeze', ['x', 'axis'], 'nodes'), node('Squeeze', ['e', 'axis'], 'edges')]
  const usual = graphNetwork(squeezes, [node('Unsqueeze', ['y', 'axis'], 'out')], [1])
  const x = {
    dtype: 'float32',
    shape: [2, 3, 2],
    data: Float32Array.of(1, 2, 3, 4, 5, 6, 0, 1, -1, 2, -2, 3),
  } as const
  const e = { dtype: 'int32', shape: [2, 2, 4] } as const
  const edges = { ...e, data: Int32Array.of(0, 1, 1, 2, 1, 0, 2, 1, 2, 2, 2, 2, 0, 0, 0, 0) }
  const labels = { dtype: 'float32', shape: [2, 3, 2], data: new Float32Array(12) } as const
  const spec: TrainingSpec = { batch: 1, loss: 'mse', optimizer: sgd }
  const expected = await gradientOf(usual, spec, { inputs: { x, e: edges }, labels })
  const found = await gradientOf(whole, spec, { inputs: { nodes: x, edges }, labels })
  expect(found.gradient).toEqual(expected.gradient)
  expect(found.gradient.some((value) => value !== 0)).toBe(true)
  expect(graphBatch(whole, 6)).toEqual({ size: 1, isFixed: true })
})
