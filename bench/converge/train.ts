/**
 * One run of `converge`: opens a trainer for each peer, trains to the end, and measures the last state on held-out
 * windows.
 */

import { batch } from '../../data/batch.ts'
import type { DataSet } from '../../data/data-set.ts'
import { sampleAt } from '../../data/sampler.ts'
import type { Compute, OpenedModel } from '../../engine/compute/compute.ts'
import { learningRate, outerOptimizer, type TrainSettings, trainingSpec } from '../../engine/job-settings.ts'
import { openNodeCompute } from '../../node/compute/compute.ts'
import { seededRandom } from '../../protocols/core/random.ts'
import { codecFor } from '../../protocols/wire/codecs/index.ts'
import { type Recipe, type Run, settingsOf } from './recipe.ts'
import { type SwarmResult, trainSwarm } from './swarm.ts'

export interface TrainInit {
  /** ONNX bytes. Borrowed. */
  model: Uint8Array
  recipe: Recipe
  /** Inner steps; those after the averaged ones a multiple of the run's local steps. */
  totalSteps: number
  dataSet: DataSet
}

export interface Trained {
  /** Mean held-out loss of the last state, nats a token. */
  loss: number
  /** Of one peer, for each parameter: in a round of local steps, and by inner steps over the whole run. */
  bytesUpPerParameter: number
  bytesUpPerParameterStep: number
  seconds: number
}

/**
 * Held-out windows that measure the last state: 32,768 tokens, a standard error of about 0.01 nats that is the same for
 * all.
 */
const heldOut = 512

/** Trains `run` to its end. */
export async function trainRun(run: Run, init: TrainInit): Promise<Trained> {
  const startedMs = performance.now()
  // a trainer that only gives gradients remembers nothing, so all peers can have the same one
  const computes = Array.from({ length: run.steps === 1 ? 1 : run.peers }, () => openNodeCompute())
  try {
    const settings = settingsOf(run, init.recipe, init.totalSteps)
    const spec = trainingSpec({ loss: 'softmax_cross_entropy' }, settings)
    const opened: OpenedModel[] = []
    for (const compute of computes)
      opened.push(await compute.open(init.model, spec, { backend: 'native', threads: 1 }))
    const result = await trainPhases(run, init, { settings, computes, opened: opened[0]! })
    const loss = await heldOutLoss(computes[0]!, opened[0]!, init.dataSet, result.parameters)
    return { ...result, loss, seconds: (performance.now() - startedMs) / 1000 }
  } finally {
    await Promise.all(computes.map((compute) => compute.close()))
  }
}

interface Ready {
  settings: TrainSettings
  computes: readonly Compute[]
  opened: OpenedModel
}

/** The steps whose gradients are averaged, if the recipe has some, and then the rounds of local steps. */
async function trainPhases(
  run: Run,
  init: TrainInit,
  ready: Ready,
): Promise<SwarmResult & Pick<Trained, 'bytesUpPerParameterStep'>> {
  const { totalSteps, recipe } = init
  const initial = initialOf(ready.opened, run.seed)
  const { averagedSteps } = recipe
  const first =
    averagedSteps === 0
      ? { parameters: initial, bytesUpPerParameter: 0 }
      : await trainPhase({ ...run, steps: 1 }, init, ready, { initial, from: 0, to: averagedSteps })
  const phase = { initial: first.parameters, from: averagedSteps, to: totalSteps }
  const second = await trainPhase(run, init, ready, phase)
  const rounds = (totalSteps - averagedSteps) / run.steps
  const bytes = averagedSteps * first.bytesUpPerParameter + rounds * second.bytesUpPerParameter
  return { ...second, bytesUpPerParameterStep: bytes / totalSteps }
}

/** Steps `from` up to `to` of the schedule, in whole rounds. */
function trainPhase(
  { peers, steps, codec, seed }: Run,
  { recipe, dataSet }: TrainInit,
  { settings, computes, opened }: Ready,
  { initial, from, to }: { initial: Float32Array; from: number; to: number },
): Promise<SwarmResult> {
  const train = { ...settings, localSteps: steps }
  const optimizer = outerOptimizer(train, steps > 1 ? recipe.outer : undefined, opened.parameters)
  const sampleOf = (position: number) => sampleAt(seed, dataSet.train.count, from * recipe.windows + position)
  return trainSwarm(
    {
      plan: {
        job: 'converge',
        batch: train.batchSize,
        localSteps: steps,
        isSparse: codec === 'topk',
        isOverlapped: false,
        hasEvenLeases: true,
        peersMin: peers,
        roundsMax: Math.floor((to - from) / steps),
        localLearningRate: (step) => learningRate(train, from + step),
        outerLearningRate: (round) => optimizer.learningRate(from + round),
      },
      initial,
      trainers: Array.from({ length: peers }, (_, index) => computes[index % computes.length]!),
      samples: { batch: (positions) => batch(dataSet.train, positions.map(sampleOf), opened) },
      outerOptimizer: optimizer,
      codec: codecFor(codec),
    },
    { signal: new AbortController().signal },
  )
}

/**
 * Another start for each seed: the file's weight matrices with their elements shuffled, which keeps each one's
 * distribution.
 */
function initialOf({ initial, parameters }: OpenedModel, seed: number): Float32Array {
  const random = seededRandom(seed)
  const values = initial.slice()
  for (const { offset, length, shape } of parameters) {
    if (shape.length < 2) continue
    for (let i = length - 1; i > 0; i--) {
      const other = offset + random.integer(i + 1)
      const value = values[offset + i]!
      values[offset + i] = values[other]!
      values[other] = value
    }
  }
  return values
}

async function heldOutLoss(
  compute: Compute,
  opened: OpenedModel,
  { validation }: DataSet,
  parameters: Float32Array,
): Promise<number> {
  const windows = Array.from({ length: heldOut }, (_, index) =>
    Math.floor((index * (validation.count - 1)) / (heldOut - 1)),
  )
  const size = opened.inputs[0]!.shape[0]!
  const batches = Array.from({ length: Math.floor(heldOut / size) }, (_, index) =>
    batch(validation, windows.slice(index * size, (index + 1) * size), opened),
  )
  return (await compute.evaluate(parameters, batches)).loss
}
