/**
 * A batch in pieces trains as the whole batch does: after compiling for pieces, and after memory ran out on the way.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import type { Recomputation } from '../../../engine/program/recomputation.ts'
import type { TrainingProgram } from '../../../engine/program/training-program.ts'
import { microBatches } from '../../../engine/training/micro-batches.ts'
import { Trainer } from '../../../engine/training/trainer.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'
import type { Batch, Tensor } from '../../../protocols/core/tensor.ts'
import { families, familyBatch, familyModel } from '../engine/families.ts'
import { adamwSpec, exampleModel, seededBatch } from './example-models.ts'
import { lineBatch } from './line-program.ts'

const model = exampleModel('glyphs/cnn.onnx')
const rates = [0.01, 0.02, 0.005]
let native: Backend
let whole: TrainingProgram

const compile = (batch: number, recomputationMin: Recomputation = 'nothing') =>
  compileProgram(model, { ...adamwSpec, batch }, native, { recomputationMin })

beforeAll(async () => {
  native = await openNativeBackend({ threads: 1 })
  whole = await compile(10)
})

/** Length of `a - b` as a share of the length of `b`. */
function apart(a: Float32Array, b: Float32Array): number {
  let [difference, length] = [0, 0]
  for (let i = 0; i < b.length; i++) {
    difference += (a[i]! - b[i]!) ** 2
    length += b[i]! ** 2
  }
  return Math.sqrt(difference / length)
}

/** How far the parameters move in three steps of ten samples. */
async function moved(trainer: Trainer): Promise<{ losses: number[]; change: Float32Array }> {
  const { losses } = await trainer.steps(
    rates.map((_, seed) => seededBatch(whole, seed)),
    rates,
  )
  const change = new Float32Array(whole.parameterCount)
  await trainer.read(change)
  for (let i = 0; i < change.length; i++) change[i] = change[i]! - whole.initial[i]!
  return { losses, change }
}

/** `native`, whose runs fail when they are fed more than `samplesMax` samples. Counts the failures. */
function withLittleMemory(samplesMax: number): { backend: Backend; failures: () => number } {
  let failures = 0
  const backend: Backend = {
    ...native,
    compile: async (bytes, options) => {
      const executable = await native.compile(bytes, options)
      return {
        inputs: executable.inputs,
        state: executable.state,
        release: () => executable.release(),
        run: (feeds, runOptions) => {
          if ((feeds.labels?.shape[0] ?? 0) <= samplesMax) return executable.run(feeds, runOptions)
          failures += 1
          return Promise.reject(
            new SwarmError('OUT_OF_MEMORY', `${feeds.labels!.shape[0]} samples are too many`),
          )
        },
      }
    },
  }
  return { backend, failures: () => failures }
}

describe('a batch of ten samples', () => {
  it('has the same gradient, loss and hits in pieces of four, four and two', async () => {
    const batch = seededBatch(whole, 7)
    const one = new Trainer(whole, native)
    const pieces = new Trainer(await compile(4), native, { recompile: compile })
    const [expected, actual] = [await one.gradient(batch), await pieces.gradient(batch)]
    expect(actual.loss / expected.loss).toBeCloseTo(1, 6)
    expect(apart(actual.gradient, expected.gradient)).toBeLessThan(1e-5)
    const [evaluation, inPieces] = [await one.evaluate(batch), await pieces.evaluate(batch)]
    expect(inPieces.lossSum / evaluation.lossSum).toBeCloseTo(1, 6)
    expect([inPieces.correct, inPieces.predictions]).toEqual([evaluation.correct, 10])
    await Promise.all([one.release(), pieces.release()])
  })

  it('moves the parameters alike, with clipping and moments, in pieces of any size', async () => {
    const one = new Trainer(whole, native)
    const expected = await moved(one)
    for (const size of [5, 3, 1]) {
      const pieces = new Trainer(await compile(size), native, { recompile: compile })
      const actual = await moved(pieces)
      for (const [index, loss] of actual.losses.entries())
        expect(loss / expected.losses[index]!).toBeCloseTo(1, 4)
      expect(apart(actual.change, expected.change), `pieces of ${size}`).toBeLessThan(1e-3)
      await pieces.release()
    }
    await one.release()
  })

  it('is trained in halves of halves when memory runs out, and nothing of the step is lost', async () => {
    const one = new Trainer(whole, native)
    const expected = await moved(one)
    const { backend, failures } = withLittleMemory(3)
    const sizes: number[] = []
    const small = new Trainer(whole, backend, {
      recompile: compile,
      onLighten: ({ inputs }) => sizes.push(inputs[0]!.shape[0]!),
    })
    const actual = await moved(small)
    expect(sizes).toEqual([5, 2])
    expect(failures()).toBe(2)
    expect(small.microBatch).toBe(2)
    expect(apart(actual.change, expected.change)).toBeLessThan(1e-3)
    await Promise.all([one.release(), small.release()])
  })

  it('is given up when not even one sample fits', async () => {
    const { backend, failures } = withLittleMemory(0)
    const trainer = new Trainer(whole, backend, { recompile: compile })
    await expect(trainer.gradient(seededBatch(whole, 0))).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' })
    expect(failures()).toBe(4) // 10, 5, 2, 1
    await trainer.release()
  })
})

it('counts no label that is ignored, and leaves out what has no other', () => {
  const pieces = microBatches(lineBatch(1, -1, -1, -1, 5, 5), 2, new Map([[-1, 0]]))
  expect(pieces.map(({ share, batch }) => [share, ...batch.labels.data])).toEqual([
    [1 / 3, 1, -1],
    [2 / 3, 5, 5],
  ])
})

it('weighs pieces by their predictions', () => {
  const pieces = microBatches(lineBatch(1, 2, 3, 4, 5), 2)
  expect(pieces.map(({ size, share }) => [size, share])).toEqual([
    [2, 0.4],
    [2, 0.4],
    [1, 0.2],
  ])
  expect(pieces.map(({ batch }) => [...batch.labels.data])).toEqual([[1, 2], [3, 4], [5]])
  expect(pieces[2]!.batch.inputs.x).toEqual({
    dtype: 'float32',
    shape: [1, 3],
    data: Float32Array.of(1, 0, 0),
  })
})

it('weighs pieces as a loss inside the model does, by the weights of classes and without what it ignores', async () => {
  const { loss, ...family } = families.judged!
  const { inputs, labels } = familyBatch({ loss, ...family })
  const optimizer = { kind: 'sgd', momentum: 0, weightDecay: 0 } as const
  const file = await familyModel('judged', 'dynamo')
  const compileJudged = (batch: number) => compileProgram(file, { batch, loss, optimizer }, native)
  const [ignored, pixels] = [1, labels.data.length / 3]
  // nearly all of the second sample
  const isDropped = (place: number) => place >= pixels && place < 2 * pixels - 3
  const data = Int32Array.from(labels.data, (label, place) => (isDropped(place) ? ignored : label))
  const uneven: Tensor = { ...labels, dtype: 'int32', data }
  const batch: Batch = { inputs: { ...inputs, labels: uneven }, labels: uneven }
  const trainers = [new Trainer(await compileJudged(3), native), new Trainer(await compileJudged(1), native)]
  const [whole, pieces] = await Promise.all(trainers.map((trainer) => trainer.gradient(batch)))
  expect(apart(pieces!.gradient, whole!.gradient)).toBeLessThan(1e-6)
  expect(pieces!.loss).toBeCloseTo(whole!.loss, 6)
  for (const trainer of trainers) {
    const { lossSum, predictions } = await trainer.evaluate(batch)
    expect(lossSum / predictions).toBeCloseTo(whole!.loss, 6)
    await trainer.release()
  }
})
