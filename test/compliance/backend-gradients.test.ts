/**
 * Whole models on every backend: loss, hits and gradients of the examples against PyTorch's, which share nothing with
 * this engine but the weights. The operators one by one are tested with the graph side.
 */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Backend } from '../../engine/backends/backend.ts'
import { openNativeBackend } from '../../engine/backends/native.ts'
import { compileProgram } from '../../engine/program/compile-program.ts'
import type { TrainingProgram, TrainingSpec } from '../../engine/program/training-program.ts'
import { Trainer } from '../../engine/training/trainer.ts'
import type { Batch, Tensor } from '../../protocols/core/tensor.ts'
import { exampleModel } from '../unit/engine-run/example-models.ts'
import { backends, chromiumRows } from './backends.ts'
import { ChromiumBackends } from './chromium/browser.ts'

interface Case {
  file: string
  batch: number
  loss: number
  correct: number
  gradients: Record<string, { norm: number; at: number[]; values: number[] }>
}

const cases = JSON.parse(
  readFileSync(new URL('../fixtures/example-gradients.json', import.meta.url), 'utf8'),
) as Case[]

/**
 * The largest error of a gradient's element, as a share of the gradient's root mean square. All add in f32, in another
 * order than PyTorch; measured: 1e-5 and less on CPUs, so 1e-4 is room for other processors. WebGPU's exponentials and
 * divisions may be off by a few units in the last place (WGSL, "Floating point accuracy").
 */
const tolerances = { native: 1e-4, wasm: 1e-4, webgpu: 5e-4 } as const

// A software device compiles each shader for seconds when other programs want the cores too.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 })

const chromium = new ChromiumBackends()

afterAll(() => chromium.close())

const rows = [
  ...backends,
  { title: 'native, 2 threads', open: () => openNativeBackend({ threads: 2 }), isRemote: false },
  ...chromiumRows(chromium),
]

/** The batch that the fixture's script makes. */
function formulaBatch({ inputs, labels, classes }: TrainingProgram): Batch {
  const input = inputs[0]!
  const fill = (shape: readonly number[], at: (index: number) => number): number[] =>
    Array.from({ length: shape.reduce((product, size) => product * size, 1) }, (_, index) => at(index))
  const samples: Tensor =
    input.dtype === 'float32'
      ? {
          ...input,
          dtype: 'float32',
          data: Float32Array.from(fill(input.shape, (i) => ((i * 37 + 11) % 101) / 128)),
        }
      : { ...input, dtype: 'int32', data: Int32Array.from(fill(input.shape, (i) => (i * 31 + 7) % 65)) }
  const targets = Int32Array.from(fill(labels.shape, (i) => (i * 17 + 3) % classes!))
  return { inputs: { [input.name]: samples }, labels: { dtype: 'int32', shape: labels.shape, data: targets } }
}

describe.each(rows)('$title against PyTorch', ({ open, isRemote }) => {
  let backend: Backend

  beforeAll(async () => {
    backend = await open()
  })

  // A software device in a page is asked for the smallest model only: the kernels are those of the other rows.
  describe.each(isRemote ? cases.slice(0, 1) : cases)(
    '$file',
    ({ file, batch, loss, correct, gradients }) => {
      let trainer: Trainer
      let samples: Batch

      beforeAll(async () => {
        const optimizer = { kind: 'sgd', momentum: 0, weightDecay: 0 } as const
        const spec: TrainingSpec = { batch, loss: 'softmax_cross_entropy', optimizer }
        trainer = new Trainer(await compileProgram(exampleModel(file), spec, backend), backend)
        samples = formulaBatch(trainer.program)
      })
      afterAll(() => trainer.release())

      it('has its loss and its hits', async () => {
        const evaluation = await trainer.evaluate(samples)
        expect(evaluation.lossSum / evaluation.predictions / loss).toBeCloseTo(1, 6)
        expect(evaluation.correct).toBe(correct)
      })

      it('has its gradients, parameter by parameter', async () => {
        const result = await trainer.gradient(samples)
        expect(result.loss / loss).toBeCloseTo(1, 6)
        const { parameters } = trainer.program
        expect(parameters.map(({ name }) => name).sort()).toEqual(Object.keys(gradients).sort())
        for (const { name, offset, length } of parameters) {
          const { norm, at, values } = gradients[name]!
          const gradient = result.gradient.subarray(offset, offset + length)
          expect(Math.hypot(...gradient) / norm, `norm of ${name}`).toBeCloseTo(1, 5)
          const errorMax = (tolerances[backend.name] * norm) / Math.sqrt(length)
          for (const [k, index] of at.entries()) {
            expect(Math.abs(gradient[index]! - values[k]!), `${name}[${index}]`).toBeLessThan(errorMax)
          }
        }
      })

      it('gives the same bits again, from another session too', async () => {
        const other = new Trainer(trainer.program, backend)
        const [first, second] = [await trainer.gradient(samples), await other.gradient(samples)]
        expect(second.gradient).toEqual(first.gradient)
        await other.release()
      })
    },
  )
})
