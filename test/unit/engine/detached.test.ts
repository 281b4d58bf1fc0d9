/** Cuts that a module makes in its gradients: those that a file notes, and those that only its algebra shows. */
import { create } from '@bufbuild/protobuf'
import { beforeAll, expect, test } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { validate } from '../../../engine/model/validate.ts'
import { type ModelProto, StringStringEntryProtoSchema } from '../../../engine/onnx/generated/onnx_pb.ts'
import type { Node } from '../../../engine/onnx/graph.ts'
import { writeModel } from '../../../engine/onnx/write.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import { Trainer } from '../../../engine/training/trainer.ts'
import { changed } from './changed-model.ts'

let backend: Backend
beforeAll(async () => {
  backend = await openNativeBackend({ threads: 1 })
})

const weights = [0.4, 1.7, -2.2]

const node = (opType: string, inputs: string[], output: string): Node => ({
  opType,
  domain: '',
  name: output,
  inputs,
  outputs: [output],
  attributes: {},
})

/** y of `nodes`, which read the weights 'w' and the sample 'x', both [1, 3]. */
const model = (...nodes: Node[]) =>
  writeModel({
    opset: 18,
    nodes,
    constants: new Map([['w', { dtype: 'float32', shape: [1, 3], data: Float32Array.from(weights) }]]),
    inputs: new Map([['x', { dtype: 'float32', shape: [1, 3] }]]),
    outputs: new Map([['y', null]]),
  })

/** The gradient of mean y² by w, times 3/2: what y² gives, where y passes its own on as it is. */
async function gradientOf(file: Uint8Array): Promise<number[]> {
  const optimizer = { kind: 'sgd', momentum: 0, weightDecay: 0 } as const
  const program = await compileProgram(file, { batch: 1, loss: 'mse', optimizer }, backend)
  const trainer = new Trainer(program, backend)
  const zeros = { dtype: 'float32', shape: [1, 3], data: new Float32Array(3) } as const
  const x = { ...zeros, data: Float32Array.of(1, 2, 3) }
  const { gradient } = await trainer.gradient({ inputs: { x }, labels: zeros })
  await trainer.release()
  return Array.from(gradient, (value) => value * 1.5)
}

/** What PyTorch's exporter notes of its nodes, by their outputs. */
const noted = (file: Uint8Array, notes: Readonly<Record<string, string>>) =>
  changed(file, ({ graph }: ModelProto) => {
    for (const { output, metadataProps } of graph!.node) {
      const value = notes[output[0]!]
      const entry = { key: 'pkg.torch.onnx.fx_node', value: value ?? '' }
      if (value !== undefined) metadataProps.push(create(StringStringEntryProtoSchema, entry))
    }
  })

const detachNote =
  '%detach : [num_users=1] = call_function[target=torch.ops.aten.detach.default](args = (%w,), kwargs = {})'

test.each([
  ['w + (b - w)', [node('Sub', ['b', 'w'], 'd'), node('Add', ['w', 'd'], 'q')]],
  ['(b - w) + w', [node('Sub', ['b', 'w'], 'd'), node('Add', ['d', 'w'], 'q')]],
  ['w - (w - b)', [node('Sub', ['w', 'b'], 'd'), node('Sub', ['w', 'd'], 'q')]],
  ['(b + w) - w', [node('Add', ['b', 'w'], 'd'), node('Sub', ['d', 'w'], 'q')]],
])('%s, where b is rounded, passes its gradient to what was rounded', async (_, estimate) => {
  const file = model(node('Round', ['w'], 'b'), ...estimate, node('Add', ['q', 'x'], 'y'))
  const found = await gradientOf(file)
  for (const [index, value] of [0 + 1, 2 + 2, -2 + 3].entries()) expect(found[index]).toBeCloseTo(value, 5)
  expect(validate(file).notes).toContainEqual(expect.stringContaining('detached (Identity)'))
})

test('a residual that is taken from its sum again has the gradient of both', async () => {
  const residual = [node('Tanh', ['w'], 'b'), node('Add', ['w', 'b'], 'sum'), node('Sub', ['sum', 'w'], 'q')]
  const file = model(...residual, node('Add', ['q', 'x'], 'y'))
  const found = await gradientOf(file)
  for (const [index, w] of weights.entries()) {
    const b = Math.tanh(w)
    expect(found[index]).toBeCloseTo((b + index + 1) * (1 - b * b), 5)
  }
  expect(validate(file).notes.join()).not.toContain('detached')
})

test('what a file notes as detached has no gradient', async () => {
  const nodes = [node('Identity', ['w'], 'd'), node('Mul', ['d', 'w'], 'y')]
  const product = noted(model(node('Add', ['x', 'x'], 'z'), ...nodes, node('Add', ['y', 'z'], 'out')), {
    d: detachNote,
    y: '%mul : [num_users=1] = call_function[target=torch.ops.aten.mul.Tensor](args = (%detach, %w), kwargs = {})',
  })
  const file = changed(product, ({ graph }) => {
    graph!.output[0]!.name = 'out'
  })
  const found = await gradientOf(file)
  // out = w² + 2x, and of the factors one moves
  for (const [index, w] of weights.entries()) {
    expect(found[index]).toBeCloseTo((w * w + 2 * (index + 1)) * w, 4)
  }
})

test('nothing is guessed of a file that notes its detaches', async () => {
  const estimate = [node('Sub', ['b', 'w'], 'd'), node('Add', ['w', 'd'], 'q')]
  const file = noted(model(node('Mul', ['w', 'w'], 'b'), ...estimate, node('Add', ['q', 'x'], 'y')), {
    b: '%mul : [num_users=1] = call_function[target=torch.ops.aten.mul.Tensor](args = (%w, %w), kwargs = {})',
  })
  const found = await gradientOf(file)
  for (const [index, w] of weights.entries()) {
    expect(found[index]).toBeCloseTo((w * w + index + 1) * 2 * w, 4)
  }
})

test('warns where an exporter dropped a detach that its notes still name', () => {
  const y =
    '%mul : [num_users=1] = call_function[target=torch.ops.aten.mul.Tensor](args = (%detach, %w), kwargs = {})'
  const dropped = noted(model(node('Mul', ['x', 'w'], 'y')), { y })
  const kept = noted(model(node('Identity', ['x'], 'd'), node('Mul', ['d', 'w'], 'y')), { d: detachNote, y })
  expect(validate(dropped).warnings).toEqual([expect.stringContaining('dropped a detach()')])
  expect(validate(kept).warnings).toEqual([])
})
