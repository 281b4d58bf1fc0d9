/** The scale of the loss in float16: how it is found, and that a run which overflows leaves nothing behind. */
import * as onnxruntimeWeb from 'onnxruntime-web'
import { describe, expect, it } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { openWasmBackend } from '../../../engine/backends/wasm.ts'
import { LossScale } from '../../../engine/precision/loss-scale.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import type { Precision, TrainingProgram } from '../../../engine/program/training-program.ts'
import { Trainer } from '../../../engine/training/trainer.ts'
import { seededRandom } from '../../../protocols/core/random.ts'
import type { Batch, Tensor } from '../../../protocols/core/tensor.ts'
import { familyModel } from '../engine/families.ts'

describe('the scale of a loss', () => {
  it('is halved by an overflow, down to 1, and then cannot help', () => {
    const scale = new LossScale()
    const values: number[] = []
    do values.push(scale.value)
    while (scale.overflowed())
    expect(values).toEqual(Array.from({ length: 17 }, (_, index) => 2 ** (16 - index)))
    scale.reset()
    expect(scale.value).toBe(2 ** 16)
  })

  it('doubles after 2,000 good runs without an overflow between them, up to 2^24', () => {
    const scale = new LossScale()
    const succeed = (times: number) => {
      for (let run = 0; run < times; run++) scale.succeeded()
      return scale.value
    }
    expect([succeed(1_999), succeed(1)]).toEqual([2 ** 16, 2 ** 17])
    succeed(1_999)
    scale.overflowed()
    expect([succeed(1_999), succeed(1)]).toEqual([2 ** 16, 2 ** 17])
    expect(succeed(20_000)).toBe(2 ** 24)
  })
})

const perceptron = await familyModel('mlp', 'dynamo')

/** Four samples of `program`'s form, with labels about as large as `size`. */
function batchOf({ inputs: [input], labels }: TrainingProgram, size: number): Batch {
  const random = seededRandom(size)
  const drawn = (shape: readonly number[], scale: number): Tensor => {
    const four = [4, ...shape.slice(1)]
    const length = four.reduce((product, count) => product * count, 1)
    return {
      dtype: 'float32',
      shape: four,
      data: Float32Array.from({ length }, () => scale * random.normal()),
    }
  }
  return { inputs: { [input!.name]: drawn(input!.shape, 1) }, labels: drawn(labels.shape, size) }
}

const optimizer = { kind: 'sgd', momentum: 0.9, weightDecay: 0, gradClip: 1 } as const

/** A trainer in pieces of `microBatch`, and how many runs it has done. */
async function trainerOn(backend: Backend, microBatch: number, precision: Precision = 'float16') {
  let runs = 0
  const counting: Backend = {
    ...backend,
    compile: async (model, options) => {
      const executable = await backend.compile(model, options)
      const run: typeof executable.run = (feeds, runOptions) => {
        runs += 1
        return executable.run(feeds, runOptions)
      }
      return { inputs: executable.inputs, state: executable.state, run, release: () => executable.release() }
    },
  }
  const compile = (batch: number) =>
    compileProgram(perceptron, { batch, loss: 'mse', optimizer, precision }, backend)
  const trainer = new Trainer(await compile(microBatch), counting, { recompile: compile })
  return { trainer, runs: () => runs }
}

async function parametersOf(trainer: Trainer): Promise<Float32Array> {
  const into = new Float32Array(trainer.program.parameterCount)
  await trainer.read(into)
  return into
}

describe.each([
  ['native', () => openNativeBackend({ threads: 1 })],
  ['wasm', async () => openWasmBackend(onnxruntimeWeb, { threads: 1 })],
] as const)('an overflow on %s', (_, open) => {
  it.each([4, 3])(
    'leaves neither parameters nor slots behind, in pieces of %i of four samples',
    async (microBatch) => {
      const backend = await open()
      const [surprised, warned] = [await trainerOn(backend, microBatch), await trainerOn(backend, microBatch)]
      const batches = [4e4, 5e4].map((size) => batchOf(warned.trainer.program, size))
      await warned.trainer.gradient(batches[0]!) // finds the scale, and changes nothing else
      const before = warned.runs()
      const pieces = microBatch === 4 ? 1 : 3 // two and a step on their sum
      await warned.trainer.steps([batches[0]!], [0.1])
      expect(warned.runs() - before).toBe(pieces)
      await surprised.trainer.steps([batches[0]!], [0.1])
      expect(surprised.runs()).toBeGreaterThan(pieces)
      expect(surprised.trainer.lossScale).toBeLessThan(2 ** 14)
      expect(surprised.trainer.lossScale).toBe(warned.trainer.lossScale)
      for (const { trainer } of [surprised, warned]) await trainer.steps([batches[1]!], [0.1])
      const after = await parametersOf(surprised.trainer)
      expect(after).toEqual(await parametersOf(warned.trainer))
      expect(after).not.toEqual(surprised.trainer.program.initial)
      await Promise.all([surprised.trainer.release(), warned.trainer.release()])
    },
  )

  it('ends in a gradient that is float32’s', async () => {
    const backend = await open()
    const [half, full] = [await trainerOn(backend, 4), await trainerOn(backend, 4, 'float32')]
    const batch = batchOf(full.trainer.program, 4e4)
    const [actual, expected] = [await half.trainer.gradient(batch), await full.trainer.gradient(batch)]
    expect(half.runs()).toBeGreaterThan(1)
    expect(full.runs()).toBe(1)
    const error = actual.gradient.map((value, index) => value - expected.gradient[index]!)
    expect(Math.hypot(...error) / Math.hypot(...expected.gradient)).toBeLessThan(1e-3)
    expect(actual.loss / expected.loss).toBeCloseTo(1, 3)
    await Promise.all([half.trainer.release(), full.trainer.release()])
  })

  it('that no scale mends is an error with a remedy, and the next task starts anew', async () => {
    const { trainer, runs } = await trainerOn(await open(), 4)
    const failure = await trainer
      .steps([batchOf(trainer.program, 1e7)], [0.1])
      .catch((error: unknown) => error)
    expect(failure).toMatchObject({
      code: 'LOSS_NOT_FINITE',
      message: 'the gradient overflows float16 even when the loss is not scaled',
      hint: expect.stringContaining('train.precision'),
    })
    expect(runs()).toBe(17)
    expect(await parametersOf(trainer)).toEqual(trainer.program.initial)
    trainer.resetOptimizer()
    expect(trainer.lossScale).toBe(2 ** 16)
    await trainer.release()
  })
})
