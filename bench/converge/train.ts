/** One run of `converge`: opens a trainer for each peer, trains to the end, and measures the last state on held-out windows. */

import { batch } from '../../data/batch.ts'
import type { DataSet } from '../../data/data-set.ts'
import { sampleAt } from '../../data/sampler.ts'
import type { Compute, OpenedModel } from '../../engine/compute/compute.ts'
import { learningRate, outerOptimizer, trainingSpec } from '../../engine/job-settings.ts'
import { openNodeCompute } from '../../node/compute.ts'
import { seededRandom } from '../../protocols/core/random.ts'
import { codecFor } from '../../protocols/wire/codecs/index.ts'
import { type Recipe, type Run, settingsOf } from './recipe.ts'
import { type RoundSeen, trainSwarm } from './swarm.ts'

export interface TrainInit {
  /** ONNX bytes. Borrowed. */
  model: Uint8Array
  recipe: Recipe
  /** Inner steps, a multiple of the run's local steps. */
  totalSteps: number
  dataSet: DataSet
  onRound?: (round: RoundSeen) => void
}

export interface Trained {
  /** Mean held-out loss of the last state, nats a token. */
  loss: number
  bytesUpPerParameter: number
  seconds: number
}

/** Held-out windows that measure the last state: 32,768 tokens, a standard error of about 0.01 nats that is the same for all. */
const heldOut = 512

/** Trains `run` to its end. */
export async function trainRun(
  run: Run,
  { model, recipe, totalSteps, dataSet, onRound }: TrainInit,
): Promise<Trained> {
  const startedMs = performance.now()
  const { peers, steps, codec, seed } = run
  const settings = settingsOf(run, recipe, totalSteps)
  // a trainer that only gives gradients remembers nothing, so all peers can have the same one
  const computes = Array.from({ length: steps === 1 ? 1 : peers }, () => openNodeCompute())
  try {
    const spec = trainingSpec({ loss: 'softmax_cross_entropy' }, settings)
    const opened: OpenedModel[] = []
    for (const compute of computes)
      opened.push(await compute.open(model, spec, { backend: 'native', threads: 1 }))
    const [first] = opened
    const optimizer = outerOptimizer(settings, steps > 1 ? recipe.outer : undefined, first!.parameters)
    const result = await trainSwarm(
      {
        plan: {
          job: 'converge',
          batch: settings.batchSize,
          localSteps: steps,
          isSparse: codec === 'topk',
          isOverlapped: false,
          hasEvenLeases: true,
          peersMin: peers,
          roundsMax: totalSteps / steps,
          localLearningRate: (step) => learningRate(settings, step),
          outerLearningRate: optimizer.learningRate,
        },
        initial: initialOf(first!, seed),
        trainers: Array.from({ length: peers }, (_, index) => computes[index % computes.length]!),
        samples: {
          batch: (positions) => {
            const indices = positions.map((position) => sampleAt(seed, dataSet.train.count, position))
            return batch(dataSet.train, indices, first!)
          },
        },
        outerOptimizer: optimizer,
        codec: codecFor(codec),
        ...(onRound === undefined ? {} : { onRound }),
      },
      { signal: new AbortController().signal },
    )
    const loss = await heldOutLoss(computes[0]!, first!, dataSet, result.parameters)
    const seconds = (performance.now() - startedMs) / 1000
    return { loss, bytesUpPerParameter: result.bytesUpPerParameter, seconds }
  } finally {
    await Promise.all(computes.map((compute) => compute.close()))
  }
}

/** Another start for each seed: the file's weight matrices with their elements shuffled, which keeps each one's distribution. */
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
