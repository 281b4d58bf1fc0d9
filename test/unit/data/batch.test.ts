import { expect, test } from 'vitest'
import { batch } from '../../../data/batch.ts'
import { imageSplit, textSplit } from '../../../data/data-set.ts'

const images = imageSplit(
  Uint8Array.from({ length: 12 }, (_, i) => i * 20),
  Uint8Array.of(2, 0, 1),
  [2, 2],
)
const imageSpec = {
  inputs: [{ name: 'x', dtype: 'float32', shape: [2, 1, 2, 2] }],
  labels: { dtype: 'int32', shape: [2] },
} as const

test('a batch of images holds the chosen samples in their order, scaled to 0 … 1 and shaped as the model wants', () => {
  const { inputs, labels } = batch(images, [2, 0], imageSpec)
  expect(inputs).toEqual({
    x: {
      dtype: 'float32',
      shape: [2, 1, 2, 2],
      data: Float32Array.from([160, 180, 200, 220, 0, 20, 40, 60], (value) => value / 255),
    },
  })
  expect(labels).toEqual({ dtype: 'int32', shape: [2], data: Int32Array.of(1, 2) })
})

test('a batch of text holds windows of tokens, each labelled with the token that follows', () => {
  const split = textSplit(Uint8Array.of(5, 6, 7, 8, 9, 10), 3, 1)
  const spec = {
    inputs: [{ name: 'ids', dtype: 'int32', shape: [8, 3] }],
    labels: { dtype: 'int32', shape: [8, 3] },
  } as const
  const { inputs, labels } = batch(split, Uint32Array.of(2, 0), spec)
  expect(inputs.ids).toEqual({ dtype: 'int32', shape: [2, 3], data: Int32Array.of(7, 8, 9, 5, 6, 7) })
  expect(labels).toEqual({ dtype: 'int32', shape: [2, 3], data: Int32Array.of(8, 9, 10, 6, 7, 8) })
  expect(() => batch(split, [3], spec)).toThrow(/sample 3 of 3/)
})

test('windows side by side take each token once, and leave out a rest that fills none', () => {
  const split = textSplit(Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7), 3, 3)
  const spec = {
    inputs: [{ name: 'ids', dtype: 'int32', shape: [2, 3] }],
    labels: { dtype: 'int32', shape: [2, 3] },
  } as const
  expect(split.count).toBe(2)
  const { inputs, labels } = batch(split, [0, 1], spec)
  expect([...inputs.ids!.data]).toEqual([0, 1, 2, 3, 4, 5])
  expect([...labels.data]).toEqual([1, 2, 3, 4, 5, 6])
  expect(textSplit(Uint8Array.of(0, 1, 2, 3, 4, 5, 6), 3, 3).count).toBe(2)
  expect(textSplit(Uint8Array.of(0, 1, 2, 3, 4, 5), 3, 3).count).toBe(1)
})

test('data that does not fit the model is refused with both shapes or types', () => {
  const wide = { ...imageSpec, inputs: [{ ...imageSpec.inputs[0]!, shape: [2, 1, 3, 2] }] }
  expect(() => batch(images, [0], wide)).toThrow(/input "x" takes \[1,3,2\] a sample, the data has \[2,2\]/)
  const ids = { ...imageSpec, inputs: [{ ...imageSpec.inputs[0]!, dtype: 'int32' as const }] }
  expect(() => batch(images, [0], ids)).toThrow(/takes int32, the data has real numbers/)
  const perToken = { ...imageSpec, labels: { dtype: 'int32' as const, shape: [2, 4] } }
  expect(() => batch(images, [0], perToken)).toThrow(/labels takes \[4\] a sample/)
})
