/**
 * The compute worker as a Node peer starts it, with a real model: what comes back is what the trainer gives in place.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import type { Compute, OpenedModel } from '../../../engine/compute/compute.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import type { TrainingSpec } from '../../../engine/program/training-program.ts'
import { Trainer } from '../../../engine/training/trainer.ts'
import { openNodeCompute } from '../../../node/compute/compute.ts'
import { exampleModel, seededBatch, sgdSpec } from './example-models.ts'

const cnn = exampleModel('glyphs/cnn.onnx')

async function trainerFor(spec: TrainingSpec): Promise<Trainer> {
  const backend = await openNativeBackend({ threads: 1 })
  return new Trainer(await compileProgram(cnn, spec, backend), backend)
}

describe('compute worker', () => {
  let compute: Compute
  let opened: OpenedModel

  beforeAll(async () => {
    compute = openNodeCompute()
    opened = await compute.open(cnn, sgdSpec, { backend: 'auto', threads: 1 })
  })
  afterAll(() => compute.close())

  it('tells what it opened, and on which backend', async () => {
    const { program } = await trainerFor(sgdSpec)
    expect(opened).toMatchObject({
      backend: 'native',
      parameters: program.parameters,
      inputs: program.inputs,
      classes: 10,
    })
    expect(opened.initial).toEqual(program.initial)
  })

  it('gives the gradient of a batch, and leaves the start to its owner', async () => {
    const trainer = await trainerFor(sgdSpec)
    const batch = seededBatch(opened, 1)
    const expected = await trainer.gradient(batch)
    const start = opened.initial.slice()
    const result = await compute.train({ mode: 'gradient', start, batches: [batch], learningRates: [] })
    expect(result.update).toEqual(expected.gradient)
    expect(result).toMatchObject({ loss: expected.loss, losses: [expected.loss] })
    expect(start).toEqual(opened.initial)
  })

  it('gives start minus end of several steps, reports each, and keeps the optimizer between tasks', async () => {
    const trainer = await trainerFor(sgdSpec)
    const batches = [1, 2, 3].map((seed) => seededBatch(opened, seed))
    const rates = [0.1, 0.1, 0.05]
    const end = new Float32Array(opened.parameterCount)
    for (let round = 0; round < 2; round++) {
      trainer.load(opened.initial)
      const { losses } = await trainer.steps(batches, rates)
      await trainer.read(end)
      const seen: number[] = []
      const task = { mode: 'steps', start: opened.initial, batches, learningRates: rates } as const
      const result = await compute.train(task, { onStep: (index, loss) => seen.push(index, loss) })
      expect(result.losses).toEqual(losses)
      expect(result.loss).toBeCloseTo((losses[0]! + losses[1]! + losses[2]!) / 3, 12)
      expect(seen).toEqual([0, losses[0], 1, losses[1], 2, losses[2]])
      expect(result.update).toEqual(opened.initial.map((value, i) => value - end[i]!))
    }
  })

  it('evaluates over several batches', async () => {
    const trainer = await trainerFor(sgdSpec)
    const batches = [4, 5].map((seed) => seededBatch(opened, seed))
    let [lossSum, correct] = [0, 0]
    for (const batch of batches) {
      const part = await trainer.evaluate(batch)
      lossSum += part.lossSum
      correct += part.correct
    }
    const result = await compute.evaluate(opened.initial, batches)
    expect(result).toEqual({ loss: lossSum / 8, accuracy: correct / 8, predictions: 8 })
  })

  it('says what is wrong with a model that is none', async () => {
    const other = openNodeCompute()
    const bytes = new Uint8Array(64).fill(7)
    const options = { backend: 'native', threads: 1 } as const
    await expect(other.open(bytes, sgdSpec, options)).rejects.toMatchObject({ code: 'MODEL_INVALID' })
    await other.close()
  })

  it('refuses an update that is not finite, and recovers', async () => {
    const batch = seededBatch(opened, 1)
    const steps = { mode: 'steps', start: opened.initial, batches: [batch, batch] } as const
    const overflowing = compute.train({ ...steps, learningRates: [1e38, 1e38] })
    await expect(overflowing).rejects.toMatchObject({ code: 'LOSS_NOT_FINITE' })
    const { losses } = await compute.train({ ...steps, learningRates: [0.01, 0.01] })
    expect(losses.every(Number.isFinite)).toBe(true)
  })
})

it.each(['native', 'wasm'] as const)(
  'serves the next call on %s after one was cancelled',
  async (backend) => {
    const compute = openNodeCompute()
    const opened = await compute.open(cnn, sgdSpec, { backend, threads: 1 })
    const batches = Array.from({ length: 50 }, () => seededBatch(opened, 1))
    const learningRates = batches.map(() => 0.01)
    const controller = new AbortController()
    const seen: number[] = []
    const onStep = (index: number) => {
      seen.push(index)
      if (index === 1) controller.abort(new Error('enough'))
    }
    const task = { mode: 'steps', start: opened.initial, batches, learningRates } as const
    await expect(compute.train(task, { signal: controller.signal, onStep })).rejects.toThrow('enough')
    expect((await compute.evaluate(opened.initial, [batches[0]!])).predictions).toBe(4)
    expect(seen).toEqual([0, 1])
    await compute.close()
  },
)

it('rejects what is pending when it is closed', async () => {
  const compute = openNodeCompute()
  const pending = compute.open(cnn, sgdSpec, { backend: 'native', threads: 1 })
  const rejection = expect(pending).rejects.toMatchObject({ code: 'BACKEND_FAILED' })
  await compute.close()
  await rejection
})
