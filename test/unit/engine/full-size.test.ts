/**
 * ResNet-50 and GPT-2 small at the sizes of their papers: every parameter's gradient against autograd in float64.
 *
 * Half a gigabyte of weights stands in no repository, so that the models are exported here and now, by a script that
 * wants torch and onnx in `python3`, and a test takes minutes: it runs where STARLING_TEST_FULL_SIZE says `native` or
 * `wasm`, or both with a comma. docs/engine.md has what came out.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import * as onnxruntimeWeb from 'onnxruntime-web'
import { afterAll, describe, expect, test } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { openWasmBackend } from '../../../engine/backends/wasm.ts'
import { exporters, type Family, familiesIn } from './families.ts'
import { gradientsApart } from './family-gradients.ts'

const tolerance = 1e-4

/** What was asked for; an unset variable asks for nothing. */
const wanted = (process.env.STARLING_TEST_FULL_SIZE ?? '').split(',')

const backends: Record<string, () => Backend | Promise<Backend>> = {
  native: () => openNativeBackend({ threads: 1 }),
  wasm: () => openWasmBackend(onnxruntimeWeb, { threads: 1 }),
}

const parameterCounts = { resnet50: 25_557_032, gpt2: 124_439_808 }

const folder = mkdtempSync(join(tmpdir(), 'starling-full-size-'))
const location = pathToFileURL(`${folder}/`)
afterAll(() => rmSync(folder, { recursive: true }))

/** Whether Python has what the script imports. */
function isPythonReady(): boolean {
  return spawnSync('python3', ['-c', 'import torch, onnx, onnxscript']).status === 0
}

let exported: Record<string, Family> | undefined

/** What the script says of its exports; it runs once for all tests. */
function exportedFamilies(): Record<string, Family> {
  if (exported !== undefined) return exported
  const script = fileURLToPath(new URL('../../fixtures/families/full_size.py', import.meta.url))
  const { status, stderr } = spawnSync('python3', ['-B', script, folder], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`the export ended with ${status}: ${stderr}`)
  exported = familiesIn(location)
  return exported
}

const names = Object.keys(parameterCounts) as (keyof typeof parameterCounts)[]
const cases = names.flatMap((name) => exporters.map((exporter) => ({ name, exporter })))

describe.each(Object.keys(backends))('on the %s backend', (backendName) => {
  test.for(cases)(
    '$name at full size from the exporter $exporter has the gradients that PyTorch computes',
    { timeout: 3_600_000 },
    async ({ name, exporter }, { annotate, skip }) => {
      skip(!wanted.includes(backendName), `STARLING_TEST_FULL_SIZE does not name ${backendName}`)
      skip(!isPythonReady(), 'python3 has no torch, onnx and onnxscript')
      const family = exportedFamilies()[name]!
      const backend = await backends[backendName]!()
      const apart = await gradientsApart(name, exporter, {
        family,
        backend,
        folder: location,
      })
      const worst = Math.max(...apart.parameters.map(({ error }) => error))
      await annotate(`at most ${worst.toExponential(1)} apart`)
      expect(apart.loss).toBeLessThan(tolerance)
      expect(apart.parameters.filter(({ error }) => !(error <= tolerance))).toEqual([])
      expect(family.gradients.reduce((sum, { length }) => sum + length, 0)).toBe(parameterCounts[name])
    },
  )
})
