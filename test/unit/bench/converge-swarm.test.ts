import { expect, test } from 'vitest'
import { trainSwarm } from '../../../bench/converge/swarm.ts'
import { nesterov, plain } from '../../../engine/optimizers/outer.ts'
import type { Batch } from '../../../protocols/core/tensor.ts'
import type { RunPlan } from '../../../protocols/run/plan.ts'
import type { Trainer, TrainingTask } from '../../../protocols/run/ports.ts'
import { type CodecName, codecFor } from '../../../protocols/wire/codecs/index.ts'

const parameterCount = 512

/** Sample `position` wants every parameter to be its position; the loss is half the square of what is missing. */
const samples = {
  batch: (positions: readonly number[]): Batch => {
    const data = Float32Array.from(positions)
    const tensor = { dtype: 'float32' as const, shape: [data.length], data }
    return { inputs: { x: tensor }, labels: tensor }
  },
}

/** Plain gradient descent on that loss. */
const trainer: Trainer = {
  train: async ({ mode, start, batches, learningRates }: TrainingTask) => {
    const values = start.slice()
    let gradient = new Float32Array(parameterCount)
    for (const [step, { inputs }] of batches.entries()) {
      const wanted = [...inputs.x!.data]
      const mean = wanted.reduce((sum, value) => sum + value, 0) / wanted.length
      gradient = values.map((value) => value - mean)
      for (let i = 0; i < values.length; i++) values[i]! -= learningRates[step]! * gradient[i]!
    }
    const moved = start.map((value, i) => value - values[i]!)
    return { update: mode === 'gradient' ? gradient : moved, loss: batches.length, seconds: 0 }
  },
}

function swarm(peers: number, { batch, localSteps, codec = 'f32' as CodecName, outer = plain() }: Plan) {
  const plan: RunPlan = {
    job: 'bafyjob',
    batch,
    localSteps,
    peersMin: peers,
    roundsMax: 4,
    isSparse: codec === 'topk',
    isOverlapped: false,
    hasEvenLeases: true,
    localLearningRate: () => 0.5,
    outerLearningRate: () => 0.5,
  }
  const init = {
    plan,
    initial: new Float32Array(parameterCount),
    trainers: new Array<Trainer>(peers).fill(trainer),
    samples,
    outerOptimizer: { ...outer },
    codec: codecFor(codec),
  }
  return trainSwarm(init, { signal: new AbortController().signal })
}

interface Plan {
  batch: number
  localSteps: number
  codec?: CodecName
  outer?: ReturnType<typeof plain>
}

test('one local step in f32 is the step of one machine on the whole batch', async () => {
  const machine = await swarm(1, { batch: 16, localSteps: 1 })
  const eight = await swarm(8, { batch: 2, localSteps: 1 })
  // in each round halfway to the mean of its 16 positions
  expect(machine.parameters[0]).toBe(7.5 / 16 + 23.5 / 8 + 39.5 / 4 + 55.5 / 2)
  expect(eight.parameters).toEqual(machine.parameters)
})

test('several local steps are averaged and stepped on by the outer optimizer', async () => {
  const { parameters } = await swarm(2, { batch: 1, localSteps: 2, outer: nesterov({ momentum: 0.9 }) })
  let [value, velocity] = [0, 0]
  for (let round = 0; round < 4; round++) {
    const ends = [0, 2].map((first) =>
      [0, 1].reduce((at, step) => at + 0.5 * (4 * round + first + step - at), value),
    )
    const update = value - (ends[0]! + ends[1]!) / 2
    const momentum = [0, 1 / 4, 2 / 5, 1 / 2][round]!
    velocity = momentum * velocity + update
    value -= 0.5 * (update + momentum * velocity)
  }
  expect(parameters[0]).toBeCloseTo(value, 5)
})

test('traffic is what the codec made of an update and of the others’ means', async () => {
  const traffic = async (codec: CodecName) =>
    (await swarm(4, { batch: 1, localSteps: 2, codec })).bytesUpPerParameter
  // 3/4 of an update out, 3/4 of a vector of means out; each of the two parts of 256 begins with a byte
  expect(await traffic('f32')).toBeCloseTo(2 * 0.75 * (4 + 1 / 256), 9)
  expect(await traffic('int4')).toBeLessThan(2 * 0.75 * 0.6)
})
