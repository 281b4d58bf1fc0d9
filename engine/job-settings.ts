/**
 * What a job's numbers mean to the engine: which program to compile, which learning rate a step has, which optimizer steps
 * on the average. The settings are described by shape here, so that the engine knows no manifest.
 */

import type { ParameterSpec } from '../protocols/core/tensor.ts'
import { besideStatistics } from './optimizers/beside-statistics.ts'
import type { FlatOptimizer } from './optimizers/flat.ts'
import { flatAdamW } from './optimizers/flat-adamw.ts'
import { flatSgd } from './optimizers/flat-sgd.ts'
import { nesterov, plain } from './optimizers/outer.ts'
import { learningRateAt, type Schedule } from './optimizers/schedule.ts'
import type { OptimizerSpec, TrainingSpec } from './program.ts'

/** Section `train` of a job. */
export type TrainSettings = {
  learningRate: number
  schedule: 'constant' | 'linear' | 'cosine'
  warmupSteps: number
  minLearningRate: number
  totalSteps?: number | undefined
  batchSize: number
  localSteps: number
  gradClip?: number | undefined
} & (
  | { optimizer: 'sgd'; momentum: number; weightDecay: number }
  | { optimizer: 'adamw'; betas: [number, number]; epsilon: number; weightDecay: number }
)

/** Section `swarm.outer` of a job. */
export type OuterSettings =
  | { kind: 'nesterov'; learningRate: number; momentum: number }
  | { kind: 'plain'; learningRate: number }

/** What to compile a job's model with. `batch`: samples of one step, the job's own unless the use is another. */
export function trainingSpec(
  loss: TrainingSpec['loss'],
  train: TrainSettings,
  batch: number = train.batchSize,
): TrainingSpec {
  return { batch, loss, optimizer: optimizerSpec(train) }
}

/** The learning rate of `step`, counted from 0 over the whole run. */
export function learningRate(train: TrainSettings, step: number): number {
  return learningRateAt(scheduleOf(train), step)
}

/**
 * The optimizer that steps on a round's average, and its learning rate in round `round`. With one local step that is the
 * job's own optimizer, stepping on the mean gradient; with more it is the outer optimizer of the job.
 */
export function outerOptimizer(
  train: TrainSettings,
  outer: OuterSettings | undefined,
  parameters: readonly ParameterSpec[],
): FlatOptimizer & { learningRate(round: number): number } {
  if (train.localSteps === 1) {
    const spec = optimizerSpec(train)
    const weights = parameters.filter(({ kind }) => kind === 'weight')
    const optimizer = spec.kind === 'sgd' ? flatSgd(spec) : flatAdamW(spec, weights)
    return {
      ...besideStatistics(optimizer, parameters),
      learningRate: (round) => learningRate(train, round),
    }
  }
  const { learningRate: rate, ...settings } = outer ?? { kind: 'plain', learningRate: 1 }
  const optimizer = settings.kind === 'nesterov' ? nesterov(settings) : plain()
  return { ...besideStatistics(optimizer, parameters), learningRate: () => rate }
}

function optimizerSpec(train: TrainSettings): OptimizerSpec {
  const { gradClip, weightDecay } = train
  const common = { weightDecay, ...(gradClip === undefined ? {} : { gradClip }) }
  if (train.optimizer === 'sgd') return { kind: 'sgd', momentum: train.momentum, ...common }
  const [beta1, beta2] = train.betas
  return { kind: 'adamw', beta1, beta2, epsilon: train.epsilon, ...common }
}

function scheduleOf(train: TrainSettings): Schedule {
  const { learningRate, warmupSteps, minLearningRate, schedule, totalSteps } = train
  if (schedule === 'constant' || totalSteps === undefined)
    return { kind: 'constant', learningRate, warmupSteps }
  return { kind: schedule, learningRate, warmupSteps, finalLearningRate: minLearningRate, totalSteps }
}
