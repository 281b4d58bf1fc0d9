/**
 * A training program small enough to check by hand: y = x·w + b with two samples of three features, mean squared error.
 *
 * With e = y - labels and two labels, loss = mean(e²) has the gradients dw = xᵀ·e and db = Σe, without factors. The
 * step graph is made to show what it was given: its slots sum up gradients, and its step is learning rate times step
 * number:
 *   m ← m + dw ;  w ← w - learning_rate·step·m      (the same for b with slot n)
 */
import type { TrainingProgram } from '../../../engine/program/training-program.ts'
import type { Batch } from '../../../protocols/core/tensor.ts'
import { model, type NodeSpec, type ValueSpec } from '../../compliance/graphs.ts'

const f32 = (...shape: number[]): ValueSpec => ({ dtype: 'float32', shape })
const node = (op: string, inputs: string, output: string, attributes?: Record<string, number>): NodeSpec => ({
  op,
  inputs: inputs.split(' '),
  outputs: [output],
  attributes,
})

const data = { x: f32(2, 3), labels: f32(2, 1) }
const parameters = { w: f32(3, 1), b: f32(1) }
const error = [
  node('MatMul', 'x w', 'xw'),
  node('Add', 'xw b', 'y'),
  node('Sub', 'y labels', 'e'),
  node('Mul', 'e e', 'e2'),
]
const loss = node('ReduceMean', 'e2', 'loss', { keepdims: 0 })
const gradients = [
  node('Transpose', 'x', 'xt'),
  node('MatMul', 'xt e', 'dw'),
  node('ReduceSum', 'e', 'db_scalar', { keepdims: 0 }),
  node('Reshape', 'db_scalar one', 'db'),
]
const constants = { three: [3], one: [1] }

const momentumStep = (name: string, gradient: string, slot: string): NodeSpec[] => [
  node('Add', `${slot} ${gradient}`, `${slot}_next`),
  node('Mul', `${slot}_next rate`, `${slot}_scaled`),
  node('Sub', `${name} ${slot}_scaled`, `${name}_next`),
]

const keeping = [node('Sub', 'kept kept', 'zero'), node('Greater', 'kept zero', 'is_kept')]
/** sum ← share·gradient, and the sum so far where it is kept */
const addition = (gradient: string, sum: string): NodeSpec[] => [
  node('Where', `is_kept ${sum} zero`, `${sum}_before`),
  node('Mul', `${gradient} share`, `${sum}_share`),
  node('Add', `${sum}_before ${sum}_share`, `${sum}_next`),
]

/** Starts at w = [1, 2, 3], b = 4. */
export const lineProgram: TrainingProgram = {
  parameters: [
    { name: 'w', kind: 'weight', shape: [3, 1], offset: 0, length: 3 },
    { name: 'b', kind: 'weight', shape: [1], offset: 3, length: 1 },
  ],
  parameterCount: 4,
  initial: Float32Array.of(1, 2, 3, 4),
  batch: 2,
  inputs: [{ name: 'x', dtype: 'float32', shape: [2, 3] }],
  labels: { name: 'labels', dtype: 'float32', shape: [2, 1] },
  classes: null,
  labelWeights: new Map(),
  precision: 'float32',
  recomputation: 'nothing',
  memory: { stateBytes: 32, constantBytes: 16, valueBytes: 64 },
  memoryWith: () => lineProgram.memory,
  operations: 12,
  stepOperations: 24,
  gradientModel: model({
    inputs: { ...data, ...parameters },
    outputs: ['loss', 'gradient'],
    constants,
    nodes: [
      ...error,
      loss,
      ...gradients,
      node('Reshape', 'dw three', 'dw_flat'),
      node('Concat', 'dw_flat db', 'gradient', { axis: 0 }),
    ],
  }),
  stepModel: model({
    inputs: { ...data, learning_rate: f32(), step: f32(), ...parameters, m: f32(3, 1), n: f32(1) },
    outputs: ['loss', 'w_next', 'b_next', 'm_next', 'n_next'],
    constants,
    nodes: [
      ...error,
      loss,
      ...gradients,
      node('Mul', 'learning_rate step', 'rate'),
      ...momentumStep('w', 'dw', 'm'),
      ...momentumStep('b', 'db', 'n'),
    ],
  }),
  evaluationModel: model({
    inputs: { ...data, ...parameters },
    outputs: ['loss_sum', 'correct', 'count'],
    // There is nothing to hit in a regression; the largest label shows that the output is passed on.
    nodes: [
      ...error,
      node('ReduceSum', 'e2', 'loss_sum', { keepdims: 0 }),
      node('ReduceMax', 'labels', 'correct', { keepdims: 0 }),
      node('Shape', 'labels', 'sizes', { end: 1 }),
      node('Cast', 'sizes', 'counts', { to: 1 }),
      node('ReduceSum', 'counts', 'count', { keepdims: 0 }),
    ],
  }),
  slotNames: ['m', 'n'],
  carry: { w_next: 'w', b_next: 'b', m_next: 'm', n_next: 'n' },
  split: () => ({
    accumulateModel: model({
      inputs: { ...data, ...parameters, share: f32(), kept: f32(), w_sum: f32(3, 1), b_sum: f32(1) },
      outputs: ['loss', 'w_sum_next', 'b_sum_next'],
      constants,
      nodes: [
        ...error,
        loss,
        ...gradients,
        ...keeping,
        ...addition('dw', 'w_sum'),
        ...addition('db', 'b_sum'),
      ],
    }),
    accumulateCarry: { w_sum_next: 'w_sum', b_sum_next: 'b_sum' },
    sumNames: ['w_sum', 'b_sum'],
    applyModel: model({
      inputs: {
        learning_rate: f32(),
        step: f32(),
        ...parameters,
        m: f32(3, 1),
        n: f32(1),
        w_sum: f32(3, 1),
        b_sum: f32(1),
      },
      outputs: ['w_next', 'b_next', 'm_next', 'n_next'],
      nodes: [
        node('Mul', 'learning_rate step', 'rate'),
        ...momentumStep('w', 'w_sum', 'm'),
        ...momentumStep('b', 'b_sum', 'n'),
      ],
    }),
  }),
}

/** Samples [1, 0, 0] and [0, 1, 0] in turn, one for each label. */
export function lineBatch(...labels: number[]): Batch {
  const rows = labels.map((_, index) => (index % 2 === 0 ? [1, 0, 0] : [0, 1, 0]))
  return {
    inputs: { x: { dtype: 'float32', shape: [rows.length, 3], data: Float32Array.from(rows.flat()) } },
    labels: { dtype: 'float32', shape: [rows.length, 1], data: Float32Array.from(labels) },
  }
}
