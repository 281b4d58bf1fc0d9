/**
 * Means over a split whose size is no multiple of the graphs'. The kernels are arithmetic here: a label is the loss of
 * its sample.
 */
import { expect, test } from 'vitest'
import type { Compute } from '../../../engine/compute/compute.ts'
import { measureOn } from '../../../node/compute/measure.ts'

/** The label that does not count. */
const ignored = 9

const compute: Pick<Compute, 'evaluate'> = {
  evaluate: async (_, batches) => {
    const labels = batches.flatMap(({ labels }) => [...labels.data]).filter((label) => label !== ignored)
    const predictions = labels.length
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / predictions
    return { loss: mean(labels), accuracy: mean(labels.map((label) => label % 2)), predictions }
  },
}

const opened = (batch: number) => ({
  inputs: [{ name: 'x', dtype: 'float32', shape: [batch, 1] }] as const,
  labels: { name: 'labels', dtype: 'int32', shape: [batch] } as const,
  classes: 10,
})

const field = { sampleShape: [], stride: 1, divisor: 1 } as const

test.each([
  ['fills its last batch', [1, 2, 3, 4, 5], 2, { loss: 3, accuracy: 0.6 }],
  ['is smaller than a batch', [1, 4], 8, { loss: 2.5, accuracy: 0.5 }],
  ['is a multiple of it', [1, 4, 4, 5], 2, { loss: 3.5, accuracy: 0.5 }],
  ['begins with a sample that does not count', [ignored, 1, 2, 3, 4], 2, { loss: 2.5, accuracy: 0.5 }],
  ['ends with one', [1, 2, 3, ignored, ignored], 4, { loss: 2, accuracy: 2 / 3 }],
])('a split that %s is measured as it is', async (_, labels, batch, expected) => {
  const x = { ...field, dtype: 'float32', data: new Float32Array(labels.length) } as const
  const y = { ...field, dtype: 'int32', data: Int32Array.from(labels) } as const
  const measure = measureOn(compute, opened(batch), { count: labels.length, fields: { x, y } })
  const { signal } = new AbortController()
  const { loss, accuracy } = await measure(new Float32Array(1), { signal })
  expect(loss).toBeCloseTo(expected.loss, 12)
  expect(accuracy).toBeCloseTo(expected.accuracy, 12)
})
