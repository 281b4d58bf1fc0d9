/**
 * How a run of `converge` trains: the example's GPT by the same global batch and the same number of inner steps,
 * whoever shares them (as the DiLoCo scaling laws do, Charles et al. 2025, table 4). What the one machine and the
 * swarms may differ in is what each was tuned in: the inner learning rate and the outer step.
 */

import type { OuterSettings, TrainSettings } from '../../engine/job-settings.ts'
import { outerDefault } from '../../protocols/jobs/spec.ts'
import type { CodecName } from '../../protocols/wire/codecs/index.ts'
import { contextTokens } from './corpus.ts'

/** One run of the table. */
export interface Run {
  /** 1: the one machine. */
  peers: number
  /** Local steps of a round. */
  steps: number
  codec: CodecName
  seed: number
}

/** What is tuned. */
export interface Recipe {
  optimizer: 'adamw' | 'muon'
  /** Samples of one inner step of all peers together. */
  windows: number
  /** Of an inner step, at the schedule's peak. */
  learningRate: number
  /** What steps on the mean of several local steps. */
  outer: OuterSettings
  /**
   * Steps at the run's start whose gradients are averaged, as two jobs would do it, the second on what the first has
   * exported: "post-local SGD" (Lin et al. 2018). Not of the one machine, whose steps are so all along, nor where there
   * is one local step.
   */
  averagedSteps: number
}

/** What the command line says of the recipe; the rest is the run's own. */
export type RecipeOverrides = { [Key in keyof Recipe]?: Recipe[Key] | undefined }

/**
 * One peer that takes its own steps whole: the plain optimizer, whatever the number. Ten give ten times fewer copies.
 */
export const oneMachineSteps = 10

/** Of the one machine, and of runs whose gradients are averaged: nothing steps between rounds. */
const noOuter: OuterSettings = { kind: 'plain', learningRate: 1 }

export function recipeOf({ peers, steps, codec }: Run, overrides: RecipeOverrides): Recipe {
  const hasLocalSteps = peers > 1 && steps > 1
  return {
    optimizer: overrides.optimizer ?? 'adamw',
    windows: overrides.windows ?? 32,
    learningRate: overrides.learningRate ?? 0.003,
    outer: hasLocalSteps ? (overrides.outer ?? outerDefault({ codec })) : noOuter,
    averagedSteps: hasLocalSteps ? (overrides.averagedSteps ?? 0) : 0,
  }
}

/** Inner steps of the whole swarm for at least `tokens`: whole rounds of 1, 10, 30 and 100 of them. */
export function innerSteps(tokens: number, windows: number): number {
  return 300 * Math.ceil(tokens / (300 * windows * contextTokens))
}

/** The training of `run`, with the schedule over the run's own steps. */
export function settingsOf(
  { peers, steps }: Run,
  { optimizer, windows, learningRate }: Recipe,
  totalSteps: number,
): TrainSettings {
  const adam = { betas: [0.9, 0.99] as [number, number], epsilon: 1e-8 }
  return {
    ...(optimizer === 'muon' ? { optimizer, momentum: 0.95, ...adam } : { optimizer, ...adam }),
    learningRate,
    weightDecay: 0.1,
    gradClip: 1,
    schedule: 'cosine',
    warmupSteps: Math.ceil(totalSteps / 20),
    totalSteps,
    minLearningRate: 0.0001,
    batchSize: windows / peers,
    localSteps: steps,
  }
}
