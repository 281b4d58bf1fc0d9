/** A compute that outlives its worker: what it does again, on what, and when it gives up. */

import { expect, test } from 'vitest'
import { type MortalCompute, revivingCompute } from '../../../browser-client/worker/reviving-compute.ts'
import type { OpenedModel, OpenOptions, TrainResult, TrainTask } from '../../../engine/compute/compute.ts'
import type { TrainingSpec } from '../../../engine/program.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'

const task = { start: Float32Array.of(1), batches: [] } as unknown as TrainTask
const options: OpenOptions = { backend: 'auto', threads: 2 }

/** Workers of which the first `deaths` die of their first task; what each was opened with, and what it did. */
function workers(deaths: number) {
  const opened: OpenOptions[] = []
  const trained: number[] = []
  const start = (): MortalCompute => {
    const number = opened.length
    let isDead = false
    return {
      get isDead() {
        return isDead
      },
      open: async (_model, _spec, asked) => {
        opened.push(asked)
        return { backend: 'webgpu', notes: [] } as unknown as OpenedModel
      },
      train: async () => {
        trained.push(number)
        if (number >= deaths) return { loss: number } as TrainResult
        isDead = true
        throw new SwarmError('BACKEND_FAILED', `worker ${number} died`)
      },
      evaluate: async () => ({ loss: 0, accuracy: 0, predictions: 0 }),
      close: async () => {},
    }
  }
  const revived: string[] = []
  const compute = revivingCompute({ start, onRevived: (_, { message }) => void revived.push(message) })
  return { compute, opened, trained, revived }
}

const open = ({ compute }: ReturnType<typeof workers>) =>
  compute.open(new Uint8Array(0), {} as TrainingSpec, options)

test('a task whose worker dies of it is done by another one, which opened the same model', async () => {
  const swarm = workers(1)
  await open(swarm)
  expect(await swarm.compute.train(task)).toMatchObject({ loss: 1 })
  expect(swarm.opened).toEqual([options, options])
  expect(swarm.revived).toEqual(['worker 0 died'])
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
    onRevived: () => {},
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
