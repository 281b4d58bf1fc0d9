/** Whether a backend is believed to compute in float16: by what it gives, not by what it says. */
import { expect, it } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { computesHalf } from '../../../engine/backends/half-trial.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { narrowed, widened } from '../../../engine/onnx/half.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'

const inHalf = (values: Float32Array) => widened(narrowed(values, 'float16'), 'float16')

/** A backend of one graph, which rounds what arrives and its square as `round` does. */
function rounding(round: (values: Float32Array) => Float32Array): Pick<Backend, 'compile'> {
  return {
    compile: async () => ({
      inputs: new Map(),
      state: { write: async () => undefined, read: async () => undefined, release: async () => undefined },
      release: async () => undefined,
      run: async ({ x }) => {
        const rounded = round(x!.data as Float32Array)
        const tensor = (data: Float32Array) => ({ dtype: 'float32', shape: x!.shape, data }) as const
        return { rounded: tensor(rounded), squared: tensor(round(rounded.map((value) => value * value))) }
      },
    }),
  }
}

it('is believed when numbers and their squares are those of float16, infinities too', async () => {
  expect(await computesHalf(rounding(inHalf))).toBe(true)
})

it('is not when it rounds to nothing, or to the largest number', async () => {
  expect(await computesHalf(rounding((values) => values))).toBe(false)
  const clamped = (values: Float32Array) =>
    inHalf(values.map((value) => Math.min(Math.max(value, -65_504), 65_504)))
  expect(await computesHalf(rounding(clamped))).toBe(false)
})

it('is not where CPU kernels compute in float32, and the runtime takes the rounding out', async () => {
  expect(await computesHalf(await openNativeBackend({ threads: 1 }))).toBe(false)
})

it('is not when the graph does not load; another error is a bug, and passes', async () => {
  const failing = (error: Error) => ({ compile: () => Promise.reject(error) })
  expect(await computesHalf(failing(new SwarmError('BACKEND_FAILED', 'no shader-f16')))).toBe(false)
  await expect(computesHalf(failing(new TypeError('a bug')))).rejects.toThrow('a bug')
})
