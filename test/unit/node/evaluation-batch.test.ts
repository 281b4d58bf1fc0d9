/** How many samples the coordinator evaluates at once. */
import { expect, test } from 'vitest'
import { evaluationBatch } from '../../../node/compute/measure.ts'
import { modelBytes } from '../engine/pytorch-models.ts'
import { withFixedBatch } from '../engine-run/fixed-batch.ts'

test('a graph that was exported for a batch of its own is evaluated in that batch', () => {
  const open = modelBytes('mlp_torchscript.onnx')
  expect(evaluationBatch(withFixedBatch(open, 3))).toBe(3)
  expect(evaluationBatch(open)).toBe(256)
})
