/** A file with a batch of its own needs jobs whose peers all get multiples of it. */
import { expect, test } from 'vitest'
import { requireWholeBatches } from '../../../node/job/data-fit.ts'
import { parseJobFile } from '../../../node/job/job-file.ts'
import { modelBytes } from '../engine/pytorch-models.ts'
import { withFixedBatch } from '../engine-run/fixed-batch.ts'

const model = withFixedBatch(modelBytes('mlp_torchscript.onnx'), 4)

function jobOf(train: string, codec = 'int8') {
  const { spec, problems } = parseJobFile(
    [
      'name: fixed',
      'model: { file: mlp.onnx, loss: softmax_cross_entropy }',
      'data: { kind: npy, folder: data }',
      `train: { optimizer: adamw, learning_rate: 0.01, ${train} }`,
      `swarm: { codec: ${codec} }`,
      'convergence: { metric: val_loss, mode: min, max_rounds: 1, max_minutes: 1 }',
    ].join('\n'),
  )
  expect(problems).toEqual([])
  return spec!
}

test.each([
  ['steps of a multiple', 'batch_size: 12, local_steps: 2', 'int8'],
  // a peer has a fourth of a batch at least
  ['single steps, of four times as many', 'batch_size: 16', 'int8'],
  ['single steps that all peers share alike', 'batch_size: 12', 'f32'],
])('%s can be cut into runs of the file', (_, train, codec) => {
  expect(requireWholeBatches(model, jobOf(train, codec))).toBe(4)
})

test('single steps whose parts are no whole runs are refused, with a batch size that would do', () => {
  expect(() => requireWholeBatches(model, jobOf('batch_size: 12'))).toThrow(
    expect.objectContaining({
      code: 'MODEL_UNSUPPORTED',
      message: expect.stringContaining('would get 3 samples'),
      hint: expect.stringContaining('a multiple of 16'),
    }),
  )
})

test('an open file takes any', () => {
  expect(requireWholeBatches(modelBytes('mlp_torchscript.onnx'), jobOf('batch_size: 7'))).toBe(7)
})
