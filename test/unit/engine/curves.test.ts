/**
 * A hundred steps from the same weights on the same batches: the loss goes where PyTorch's goes, running statistics
 * included.
 *
 * Narrow models learn from drawn batches. With `STARLING_TEST_DATA` naming a folder that holds `cifar10-subset.zip` and
 * `tinyshakespeare.txt`, ResNet-18 at its published width and the GPT of examples/shakespeare learn from those too,
 * within minutes.
 */
import { readFileSync } from 'node:fs'
import * as onnxruntimeWeb from 'onnxruntime-web'
import { expect, test } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { openWasmBackend } from '../../../engine/backends/wasm.ts'
import type { LossKind, LossOptions } from '../../../engine/loss/loss.ts'
import { learningRateAt } from '../../../engine/optimizers/schedule.ts'
import type { OptimizerSpec } from '../../../engine/optimizers/spec.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import { Trainer } from '../../../engine/training/trainer.ts'
import type { Batch } from '../../../protocols/core/tensor.ts'
import { curveBatch, curves, families, familyModel, withDrawnWeights } from './families.ts'
import { type RealCurve, realBatches, realBatchSizes } from './real-batches.ts'

/** Of the loss, at every step. */
const tolerance = 0.01

/** PyTorch's losses in float64 on real data (test/fixtures/learning/curves.py). */
const realCurves = JSON.parse(readFileSync(fixture('learning/curves.json'), 'utf8')) as Record<
  RealCurve,
  { learningRate: number; warmupSteps: number; losses: number[] }
>

const sgd: OptimizerSpec = { kind: 'sgd', momentum: 0.9, weightDecay: 0 }
const adamw: OptimizerSpec = { kind: 'adamw', beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 }

/** A model, what it learns from, and where PyTorch got with it. */
interface Job {
  readonly title: string
  readonly loss: LossKind
  readonly lossOptions: LossOptions
  readonly optimizer: OptimizerSpec
  readonly batch: number
  readonly learningRates: readonly number[]
  /** PyTorch's. */
  readonly losses: readonly number[]
  /** The last loss as a share of the first: there was something to learn. */
  readonly lossShareMax: number
  model(): Promise<Uint8Array>
  batches(): Promise<Batch[]>
}

function drawnJob(name: keyof typeof curves, optimizer: OptimizerSpec, learningRate: number): Job {
  const { batch, losses } = curves[name]
  const { loss, options } = families[name]!
  return {
    title: `${name} on drawn batches`,
    loss,
    lossOptions: options,
    optimizer,
    batch,
    learningRates: losses.map(() => learningRate),
    losses,
    lossShareMax: 0.7,
    model: () => familyModel(name, 'dynamo'),
    batches: async () => losses.map((_, step) => curveBatch(name, step % 4, batch)),
  }
}

function realJob(name: RealCurve, optimizer: OptimizerSpec, modelFile: URL, folder: string): Job {
  const { learningRate, warmupSteps, losses } = realCurves[name]
  const schedule = { kind: 'constant', learningRate, warmupSteps } as const
  return {
    title: `${name} on real data`,
    loss: 'softmax_cross_entropy',
    lossOptions: {},
    optimizer,
    batch: realBatchSizes[name],
    learningRates: losses.map((_, step) => learningRateAt(schedule, step)),
    losses,
    lossShareMax: 0.9,
    model: () => withDrawnWeights(new Uint8Array(readFileSync(modelFile))),
    batches: () => realBatches(name, folder),
  }
}

function fixture(path: string): URL {
  return new URL(`../../fixtures/${path}`, import.meta.url)
}

const data = process.env.STARLING_TEST_DATA
const jobs = [
  drawnJob('resnet18', sgd, 0.01),
  drawnJob('gpt2', adamw, 0.003),
  ...(data === undefined
    ? []
    : [
        realJob('resnet18', sgd, fixture('learning/resnet18.onnx'), data),
        realJob('gpt', adamw, new URL('../../../examples/shakespeare/gpt.onnx', import.meta.url), data),
      ]),
]

const backends: Record<string, () => Backend | Promise<Backend>> = {
  native: () => openNativeBackend({ threads: 1 }),
  wasm: () => openWasmBackend(onnxruntimeWeb, { threads: 1 }),
}

const cases = jobs.flatMap((job) => Object.keys(backends).map((backend) => ({ ...job, backend })))

test.each(cases)(
  'the loss of $title on $backend stays within 1 % of PyTorch for 100 steps',
  { timeout: 3_600_000 },
  async ({ backend: name, learningRates, losses, lossShareMax, ...job }) => {
    const backend = await backends[name]!()
    const program = await compileProgram(await job.model(), job, backend)
    const trainer = new Trainer(program, backend)
    const result = await trainer.steps(await job.batches(), learningRates)
    await trainer.release()
    const apart = result.losses.map((value, step) => Math.abs(value / losses[step]! - 1))
    expect(Math.max(...apart)).toBeLessThan(tolerance)
    expect(losses.at(-1)!, 'there was something to learn').toBeLessThan(lossShareMax * losses[0]!)
  },
)
