/**
 * The families of models that PyTorch exports, with both of its exporters: loss, every parameter's gradient and every
 * running statistic against autograd in float64.
 */
import * as onnxruntimeWeb from 'onnxruntime-web'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { openWasmBackend } from '../../../engine/backends/wasm.ts'
import { exporters, families } from './families.ts'
import { gradientsApart } from './family-gradients.ts'

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
      const apart = await gradientsApart(name, exporter, { family, backend: backends[backendName] })
      expect(apart.loss).toBeLessThan(tolerance)
      expect(apart.parameters.filter(({ error }) => !(error <= tolerance))).toEqual([])
      expect(apart.parameters).toHaveLength(family.gradients.length + family.statistics.length)
    },
  )
})
