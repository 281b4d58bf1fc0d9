/** A compute that outlives its worker: what it does again, on what, and when it gives up. */

import { expect, test } from 'vitest'
import { type MortalCompute, revivingCompute } from '../../../browser-client/worker/reviving-compute.ts'
import type { OpenedModel, OpenOptions, TrainResult, TrainTask } from '../../../engine/compute/compute.ts'
import type { TrainingSpec } from '../../../engine/program/training-program.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'

const task = { start: Float32Array.of(1), batches: [] } as unknown as TrainTask
const options: OpenOptions = { backend: 'auto', threads: 2 }

/**
 * Workers of which the first `deaths` die of their first task, or of opening the model; what each was opened with, and
 * what it did.
 */
function workers(
  deaths: number,
  backend: 'webgpu' | 'wasm' = 'webgpu',
  { dyingOf = 'train' }: { dyingOf?: 'train' | 'open' } = {},
) {
  let started = 0
  const opened: OpenOptions[] = []
  const closed: number[] = []
  const trained: number[] = []
  const start = (): MortalCompute => {
    const number = started++
    let isDead = false
    const die = (): never => {
      isDead = true
      throw new SwarmError('BACKEND_FAILED', `worker ${number} died`)
    }
    return {
      get isDead() {
        return isDead
      },
      open: async (_model, _spec, asked) => {
        opened.push(asked)
        if (number < deaths && dyingOf === 'open') die()
        return { backend, microBatch: asked.microBatch ?? 32, notes: [] } as unknown as OpenedModel
      },
      train: async () => {
        trained.push(number)
        return number < deaths ? die() : ({ loss: number } as TrainResult)
      },
      evaluate: async () => ({ loss: 0, accuracy: 0, predictions: 0 }),
      close: async () => void closed.push(number),
    }
  }
  const replaced: (string | undefined)[] = []
  const compute = revivingCompute({
    start,
    onReplaced: (_, death) => void replaced.push(death?.message),
  })
  return { compute, opened, closed, trained, replaced }
}

const open = ({ compute }: ReturnType<typeof workers>) =>
  compute.open(new Uint8Array(0), {} as TrainingSpec, options)

test('a task whose worker dies of it is done by another one, which opened the same model', async () => {
  const swarm = workers(1)
  await open(swarm)
  expect(await swarm.compute.train(task)).toMatchObject({ loss: 1 })
  expect(swarm.opened).toEqual([options, options])
  expect(swarm.replaced).toEqual(['worker 0 died'])
})

test('from the second death on WebAssembly computes', async () => {
  const swarm = workers(2)
  await open(swarm)
  expect(await swarm.compute.train(task)).toMatchObject({ loss: 2 })
  expect(swarm.opened.map(({ backend }) => backend)).toEqual(['auto', 'auto', 'wasm'])
  expect(swarm.trained).toEqual([0, 1, 2])
})

test('a model that kills three workers is given up, with what the last one died of', async () => {
  const swarm = workers(3)
  await open(swarm)
  await expect(swarm.compute.train(task)).rejects.toThrow('worker 2 died')
  expect(swarm.opened).toHaveLength(3)
})

test('a worker that dies while it opens the model is replaced too, in the end by one on WebAssembly', async () => {
  const swarm = workers(2, 'webgpu', { dyingOf: 'open' })
  await open(swarm)
  expect(swarm.opened.map(({ backend }) => backend)).toEqual(['auto', 'auto', 'wasm'])
  expect(swarm.replaced).toEqual(['worker 1 died'])
  expect(await swarm.compute.train(task)).toMatchObject({ loss: 2 })
  expect(swarm.replaced).toHaveLength(1)
  await expect(open(workers(3, 'webgpu', { dyingOf: 'open' }))).rejects.toThrow('worker 2 died')
})

test('a task that fails while its worker lives is not tried again', async () => {
  const failing: MortalCompute = {
    isDead: false,
    open: async () => ({}) as OpenedModel,
    train: async () => {
      throw new SwarmError('LOSS_NOT_FINITE', 'the loss is NaN')
    },
    evaluate: async () => ({ loss: 0, accuracy: 0, predictions: 0 }),
    close: async () => {},
  }
  let starts = 0
  const compute = revivingCompute({
    start: () => {
      starts++
      return failing
    },
    onReplaced: () => {},
  })
  await expect(compute.train(task)).rejects.toMatchObject({ code: 'LOSS_NOT_FINITE' })
  expect(starts).toBe(1)
})

test('a worker that is closed is not revived', async () => {
  const swarm = workers(1)
  await open(swarm)
  await swarm.compute.close()
  await expect(swarm.compute.train(task)).rejects.toThrow('worker 0 died')
  expect(swarm.opened).toHaveLength(1)
})

test('a change of threads waits for the end of the task, and then a new worker with them takes over, once', async () => {
  const swarm = workers(0)
  await open(swarm)
  const running = swarm.compute.train(task)
  swarm.compute.change({ threads: 1 })
  swarm.compute.change({ threads: 3, backend: 'wasm' })
  expect(await running).toMatchObject({ loss: 0 })
  expect(await swarm.compute.train(task)).toMatchObject({ loss: 1 })
  expect(await swarm.compute.train(task)).toMatchObject({ loss: 1 })
  expect(swarm.opened).toEqual([options, { backend: 'wasm', threads: 3 }])
  expect(swarm.closed).toEqual([0])
  expect(swarm.replaced).toEqual([undefined])
})

test('a change while the model opens is not lost', async () => {
  const swarm = workers(0)
  const opening = open(swarm)
  swarm.compute.change({ threads: 1 })
  await opening
  expect(await swarm.compute.train(task)).toMatchObject({ loss: 1 })
  expect(swarm.opened.map(({ threads }) => threads)).toEqual([2, 1])
})

test('a change before the model is opened is a change of the worker that opens it', async () => {
  const swarm = workers(0)
  swarm.compute.change({ threads: 1 })
  await open(swarm)
  expect(swarm.closed).toEqual([0])
  expect(await swarm.compute.train(task)).toMatchObject({ loss: 1 })
})

test('after a death on WebAssembly the next worker recomputes, and only after another one cuts the samples too', async () => {
  const swarm = workers(2, 'wasm')
  await open(swarm)
  expect(await swarm.compute.train(task)).toMatchObject({ loss: 2 })
  expect(swarm.opened).toEqual([
    options,
    { ...options, recomputationMin: 'everything' },
    { ...options, backend: 'wasm', recomputationMin: 'everything', microBatch: 2 },
  ])
})
