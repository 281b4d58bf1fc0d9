/**
 * The families of models that PyTorch exports, with both of its exporters: loss, every parameter's gradient and every running
 * statistic against autograd in float64.
 */
import * as onnxruntimeWeb from 'onnxruntime-web'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { openWasmBackend } from '../../../engine/backends/wasm.ts'
import { compileProgram } from '../../../engine/program.ts'
import { Trainer } from '../../../engine/trainer.ts'
import { exporters, families, familyBatch, familyModel, familyNumbers } from './families.ts'
import { largest, relativeError } from './pytorch-models.ts'

/**
 * Relative to the largest element of each tensor. A gradient that cancels to nothing, as a bias has before a normalisation, is all
 * rounding: that is compared with a hundredth of the model's largest.
 */
const tolerances = { float32: 1e-4, float16: 1e-3 }

let backends: Record<'native' | 'wasm', Backend>
beforeAll(async () => {
  backends = {
    native: await openNativeBackend({ threads: 1 }),
    wasm: openWasmBackend(onnxruntimeWeb, { threads: 1 }),
  }
})

const cases = Object.keys(families).flatMap((name) => exporters.map((exporter) => [name, exporter] as const))

describe.each(['native', 'wasm'] as const)('on the %s backend', (backendName) => {
  test.each(cases)(
    '%s from the exporter %s has the gradients that PyTorch computes',
    async (name, exporter) => {
      const family = families[name]!
      const tolerance = tolerances[name === 'half' ? 'float16' : 'float32']
      const batch = familyBatch(family)
      const program = await compileProgram(
        await familyModel(name, exporter),
        {
          batch: batch.labels.shape[0]!,
          loss: family.loss,
          lossOptions: family.options,
          freeze: exporter === 'torchscript' ? family.buffers : [],
          optimizer: { kind: 'sgd', momentum: 0, weightDecay: 0 },
        },
        backends[backendName],
      )
      const trainer = Trainer.create(program, backends[backendName])
      const { loss, gradient } = await trainer.gradient(batch)
      await trainer.release()
      expect(Math.abs(loss / family.value - 1)).toBeLessThan(tolerance)
      const expected = familyNumbers(name)
      const gradientMax = Math.max(...family.gradients.map(({ names }) => largest(expected.get(names[0]!)!)))
      const errors = program.parameters.map(({ name: parameter, kind, offset, length }) => {
        const entry = gradient.subarray(offset, offset + length)
        const known = expected.get(parameter) ?? []
        const cancels = largest(known) < 1e-6 * gradientMax
        const least = cancels ? 1e-2 * gradientMax : 0
        if (kind === 'weight') return [parameter, relativeError(entry, known, least)] as const
        const next = entry.map((change, index) => program.initial[offset + index]! - change)
        return [parameter, relativeError(next, known)] as const
      })
      expect(errors.filter(([, error]) => error > tolerance)).toEqual([])
      expect(program.parameters).toHaveLength(family.gradients.length + family.statistics.length)
    },
  )
})
