/**
 * What a job's numbers mean to the engine: which program to compile, which learning rate a step has, which optimizer
 * steps on the average. The settings are described by shape here, so that the engine knows no manifest.
 */

import type { ParameterSpec } from '../protocols/core/tensor.ts'
import type { LossKind } from './loss/loss.ts'
import { besideStatistics } from './optimizers/beside-statistics.ts'
import { flatOptimizer } from './optimizers/choose.ts'
import type { FlatOptimizer } from './optimizers/flat.ts'
import { nesterov, plain } from './optimizers/outer.ts'
import { learningRateAt, type Schedule } from './optimizers/schedule.ts'
import type { OptimizerSpec } from './optimizers/spec.ts'
import type { PrecisionChoice, TrainingSpec } from './program/training-program.ts'

/** Section `train` of a job. */
export type TrainSettings = {
  learningRate: number
  schedule: 'constant' | 'linear' | 'cosine' | 'wsd'
  warmupSteps: number
  minLearningRate: number
  totalSteps?: number | undefined
  decaySteps?: number | undefined
  batchSize: number
  localSteps: number | 'auto'
  gradClip?: number | undefined
  weightDecay: number
  precision?: PrecisionChoice | undefined
  freeze?: readonly string[] | undefined
} & (
  | { optimizer: 'sgd'; momentum: number; nesterov?: boolean | undefined }
  | { optimizer: 'adamw'; betas: [number, number]; epsilon: number }
  | { optimizer: 'adafactor' }
  | { optimizer: 'lion'; betas: [number, number] }
  | { optimizer: 'muon'; momentum: number; betas: [number, number]; epsilon: number }
)

/** Section `swarm.outer` of a job. */
export type OuterSettings =
  | { kind: 'nesterov'; learningRate: number; momentum: number }
  | { kind: 'plain'; learningRate: number }

/** Section `model` of a job, as far as the engine reads it. */
export interface ModelSettings {
  loss: LossKind
  ignoreIndex?: number | undefined
  labelSmoothing?: number | undefined
  classAxis?: number | undefined
  /** The output that the loss takes; default: the only one. */
  output?: string | undefined
  /** The input that takes the labels, with the loss `in_model`. */
  labels?: string | undefined
  /** Sizes of open dimensions. */
  dimensions?: Readonly<Record<string, number>> | undefined
}

/** What to compile a job's model with. `batch`: samples of one step, the job's own unless the use is another. */
export function trainingSpec(
  model: ModelSettings,
  train: TrainSettings,
  batch: number = train.batchSize,
): TrainingSpec {
  const { loss, ignoreIndex, labelSmoothing, classAxis, dimensions } = model
  return {
    batch,
    loss,
    lossOptions: { ignoreIndex, labelSmoothing, classAxis },
    outputName: model.output,
    labelsName: model.labels,
    dimensions,
    freeze: train.freeze,
    optimizer: optimizerSpec(train),
    precision: train.precision,
  }
}

/** The learning rate of `step`, counted from 0 over the whole run. */
export function learningRate(train: TrainSettings, step: number): number {
  return learningRateAt(scheduleOf(train), step)
}

/**
 * The optimizer that steps on a round's average, and its learning rate in round `round`. With one local step that is
 * the job's own optimizer, stepping on the mean gradient; with more it is the outer optimizer of the job.
 */
export function outerOptimizer(
  train: TrainSettings,
  outer: OuterSettings | undefined,
  parameters: readonly ParameterSpec[],
): FlatOptimizer & { learningRate(round: number): number } {
  if (train.localSteps === 1) {
    const weights = parameters.filter(({ kind }) => kind === 'weight')
    return {
      ...besideStatistics(flatOptimizer(optimizerSpec(train), weights), parameters),
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
  const kind = train.optimizer
  if (kind === 'sgd') return { kind, momentum: train.momentum, nesterov: train.nesterov ?? false, ...common }
  if (kind === 'adafactor') return { kind, ...common }
  const [beta1, beta2] = train.betas
  if (kind === 'lion') return { kind, beta1, beta2, ...common }
  const adam = { beta1, beta2, epsilon: train.epsilon, ...common }
  return kind === 'adamw' ? { kind, ...adam } : { kind, momentum: train.momentum, ...adam }
}

function scheduleOf(train: TrainSettings): Schedule {
  const { learningRate, warmupSteps, minLearningRate, schedule, totalSteps, decaySteps } = train
  const rise = { learningRate, warmupSteps }
  if (schedule === 'constant' || totalSteps === undefined) return { kind: 'constant', ...rise }
  const fall = { finalLearningRate: minLearningRate, totalSteps }
  if (schedule !== 'wsd') return { kind: schedule, ...rise, ...fall }
  return { kind: 'wsd', ...rise, ...fall, decaySteps: decaySteps ?? totalSteps - warmupSteps }
}
