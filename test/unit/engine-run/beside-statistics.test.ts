/**
 * Statistics in the flat vector: whichever optimizer steps on the average, they become the mean of what the peers
 * measured.
 */
import { expect, it } from 'vitest'
import { outerOptimizer, type TrainSettings } from '../../../engine/job-settings.ts'
import type { ParameterSpec } from '../../../protocols/core/tensor.ts'

const parameters: ParameterSpec[] = [
  { name: 'w', kind: 'weight', shape: [2, 2], offset: 0, length: 4 },
  { name: 'mean', kind: 'statistic', shape: [2], offset: 4, length: 2 },
]

const common = {
  learningRate: 0.5,
  schedule: 'constant',
  warmupSteps: 0,
  minLearningRate: 0,
  batchSize: 8,
  weightDecay: 0.25,
} as const
const sgd: TrainSettings = { ...common, optimizer: 'sgd', momentum: 0.5, localSteps: 1, gradClip: 0.1 }

const jobs: Record<string, Parameters<typeof outerOptimizer>> = {
  'clipped SGD on gradients': [sgd, undefined, parameters],
  'AdamW on gradients': [
    { ...common, optimizer: 'adamw', betas: [0.9, 0.999], epsilon: 1e-8, localSteps: 1 },
    undefined,
    parameters,
  ],
  'Nesterov on updates': [
    { ...sgd, localSteps: 4 },
    { kind: 'nesterov', learningRate: 0.7, momentum: 0.9 },
    parameters,
  ],
  'the plain mean of updates': [{ ...sgd, localSteps: 4 }, { kind: 'plain', learningRate: 0.25 }, parameters],
}

it.each(Object.entries(jobs))('%s leaves the statistics at the mean of the peers', (_, job) => {
  const optimizer = outerOptimizer(...job)
  const alone = outerOptimizer(job[0], job[1], parameters.slice(0, 1))
  const flat = Float32Array.of(1, -2, 3, -4, 8, 16)
  const weights = flat.slice(0, 4)
  const state = new Float32Array(optimizer.stateLength(flat.length))
  const stateAlone = new Float32Array(alone.stateLength(weights.length))
  for (const stepNumber of [1, 2]) {
    const measured = [4 * stepNumber, 6] // the mean of what the peers measured
    const average = Float32Array.of(0.5, 0.25, -1, 2, flat[4]! - measured[0]!, flat[5]! - measured[1]!)
    const step = { learningRate: optimizer.learningRate(stepNumber), stepNumber }
    optimizer.step(flat, state, average, step)
    alone.step(weights, stateAlone, average.slice(0, 4), step)
    expect([...flat.subarray(4)]).toEqual(measured)
  }
  expect(flat.subarray(0, 4), 'the weights move as if they were alone').toEqual(weights)
  expect(state).toEqual(stateAlone)
})
