/**
 * Losses, gradients and optimizer steps of whole exported models against PyTorch's own, on both CPU backends. The
 * models come from both of PyTorch's exporters, in operator sets 11 to 20.
 */
import * as onnxruntimeWeb from 'onnxruntime-web'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { openWasmBackend } from '../../../engine/backends/wasm.ts'
import type { OptimizerSpec } from '../../../engine/optimizers/spec.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import type { TrainingProgram } from '../../../engine/program/training-program.ts'
import { Trainer } from '../../../engine/training/trainer.ts'
import {
  feedsOf,
  largest,
  modelBytes,
  optimizerRuns,
  type PyTorchModel,
  pytorchModels,
  relativeError,
} from './pytorch-models.ts'

/** Relative to the largest element: float32 sums in another order than PyTorch's. */
const tolerance = 1e-4

const sgd: OptimizerSpec = { kind: 'sgd', momentum: 0.9, weightDecay: 0.01 }
const adamw: OptimizerSpec = { kind: 'adamw', beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 }

let backends: Record<'native' | 'wasm', Backend>
beforeAll(async () => {
  backends = {
    native: await openNativeBackend({ threads: 1 }),
    wasm: openWasmBackend(onnxruntimeWeb, { threads: 1 }),
  }
})

function compile(model: PyTorchModel, optimizer: OptimizerSpec, backend: Backend): Promise<TrainingProgram> {
  const spec = { batch: model.x.shape[0]!, loss: model.loss_kind, optimizer }
  return compileProgram(modelBytes(model.file), spec, backend)
}

describe.each(['native', 'wasm'] as const)('on the %s backend', (name) => {
  test.each(Object.entries(pytorchModels))(
    '%s has the loss and the gradients that PyTorch computes',
    async (_, model) => {
      const program = await compile(model, sgd, backends[name])
      const graph = await backends[name].compile(program.gradientModel)
      const { loss, gradient } = await graph.run(feedsOf(model, program))
      await graph.release()
      expect(loss!.data[0]).toBeCloseTo(model.loss, 5)
      const least = 1e-3 * Math.max(...Object.values(model.gradients).map(largest))
      const errors = program.parameters.map(({ name: parameter, kind, offset, length }) => {
        const entry = gradient!.data.subarray(offset, offset + length)
        if (kind === 'weight')
          return [parameter, relativeError(entry, model.gradients[parameter] ?? [], least)]
        const next = entry.map((change, index) => program.initial[offset + index]! - change)
        return [parameter, relativeError(next, model.statistics[parameter] ?? [])]
      })
      expect(errors.filter(([, error]) => (error as number) > tolerance)).toEqual([])
      const weights = program.parameters.filter(({ kind }) => kind === 'weight')
      expect(weights.reduce((sum, { length }) => sum + length, 0)).toBe(model.parameter_count)
      expect(program.parameters.length - weights.length).toBe(Object.keys(model.statistics).length)
    },
  )
})

test.each(Object.entries(pytorchModels))(
  '%s is evaluated with the loss and the hits that PyTorch counts',
  async (_, model) => {
    const program = await compile(model, sgd, backends.native)
    const graph = await backends.native.compile(program.evaluationModel)
    const outputs = await graph.run(feedsOf(model, program))
    await graph.release()
    expect(outputs.loss_sum!.data[0]! / model.labels.data.length).toBeCloseTo(model.evaluation_loss, 5)
    expect(outputs.correct!.data[0]).toBe(model.correct)
  },
)

test.each([
  ['adamw', adamw],
  ['adamw_clipped', { ...adamw, gradClip: 0.1 }],
  ['sgd', sgd],
  ['sgd_clipped', { ...sgd, gradClip: 0.1 }],
  ['sgd_batch_norm', { ...sgd, gradClip: 0.1 }],
] as const)('four steps of %s lead where PyTorch leads', async (name, optimizer) => {
  const { model: modelName, rates, losses, parameters } = optimizerRuns[name]
  const model = pytorchModels[modelName]!
  const program = await compile(model, optimizer, backends.native)
  const trainer = new Trainer(program, backends.native)
  const feeds = feedsOf(model, program)
  const batch = { inputs: { x: feeds.x! }, labels: feeds.labels! }
  const result = await trainer.steps(
    rates.map(() => batch),
    rates,
  )
  const flat = new Float32Array(program.parameterCount)
  await trainer.read(flat)
  await trainer.release()
  expect(relativeError(result.losses, losses)).toBeLessThan(tolerance)
  for (const { name: parameter, offset, length } of program.parameters) {
    expect(
      relativeError(flat.subarray(offset, offset + length), parameters[parameter]!),
      parameter,
    ).toBeLessThan(tolerance)
  }
})
