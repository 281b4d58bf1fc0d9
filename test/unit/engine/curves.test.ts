/** A hundred steps from the same weights on the same batches: the loss goes where PyTorch's goes, running statistics included. */
import * as onnxruntimeWeb from 'onnxruntime-web'
import { expect, test } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { openWasmBackend } from '../../../engine/backends/wasm.ts'
import { compileProgram, type OptimizerSpec } from '../../../engine/program.ts'
import { Trainer } from '../../../engine/trainer.ts'
import { curveBatch, curves, families, familyModel } from './families.ts'

/** Of the loss, at every step. */
const tolerance = 0.01

const jobs: Record<keyof typeof curves, { optimizer: OptimizerSpec; learningRate: number }> = {
  resnet18: { optimizer: { kind: 'sgd', momentum: 0.9, weightDecay: 0 }, learningRate: 0.01 },
  gpt2: {
    optimizer: { kind: 'adamw', beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 },
    learningRate: 0.003,
  },
}

const backends: Record<string, () => Backend | Promise<Backend>> = {
  native: () => openNativeBackend({ threads: 1 }),
  wasm: () => openWasmBackend(onnxruntimeWeb, { threads: 1 }),
}

const cases = (Object.keys(curves) as (keyof typeof curves)[]).flatMap((name) =>
  Object.keys(backends).map((backend) => [name, backend] as const),
)

test.each(cases)(
  'the loss of %s on %s stays within 1 %% of PyTorch for 100 steps',
  async (name, backendName) => {
    const { batch, losses } = curves[name]
    const { optimizer, learningRate } = jobs[name]
    const { loss, options } = families[name]!
    const backend = await backends[backendName]!()
    const model = await familyModel(name, 'dynamo')
    const program = await compileProgram(model, { batch, loss, lossOptions: options, optimizer }, backend)
    const trainer = Trainer.create(program, backend)
    const result = await trainer.steps(
      losses.map((_, step) => curveBatch(name, step % 4, batch)),
      losses.map(() => learningRate),
    )
    await trainer.release()
    const apart = result.losses.map((value, step) => Math.abs(value / losses[step]! - 1))
    expect(Math.max(...apart)).toBeLessThan(tolerance)
    expect(losses.at(-1)!, 'there was something to learn').toBeLessThan(0.7 * losses[0]!)
  },
)
