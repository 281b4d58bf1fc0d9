/** The rules that join two keys of a job: values that are right each for itself, and make no sense together. */

import { codecNames } from '../wire/codecs/codec.ts'
import { chunkElements } from '../wire/codecs/positions.ts'
import { keptDefault as topkKeptDefault } from '../wire/codecs/topk.ts'
import type { Problem } from './problems.ts'
import type { ConvergenceSpec, SwarmSpec, TrainingPlan, TrainSpec } from './spec.ts'

/** Optimizers that work on whole matrices and step only inside a peer's graph, never on an average. */
const innerOnly: ReadonlySet<TrainSpec['optimizer']> = new Set(['adafactor', 'muon'])

/**
 * Share of the values up to which momentum harms: what arrives late by error feedback is then applied again and again.
 * At 1.6 % a run with momentum 0.9 lost ten points of accuracy, without it one (SparseLoCo, Sarfi et al. 2025, finds
 * the same).
 */
const sparseShareMax = 0.02

/** What is wrong with `plan` as a whole. Empty when all rules hold. */
export function crossChecks({ model, train, swarm, convergence }: TrainingPlan): Problem[] {
  return [
    ...lossChecks(model, convergence),
    ...scheduleChecks(train),
    ...optimizerChecks(train),
    ...swarmChecks(train, swarm),
    ...sparseChecks(train, swarm),
    ...metricChecks(convergence),
  ]
}

/** What belongs to one loss, and is said with another. */
function lossChecks(model: TrainingPlan['model'], convergence: ConvergenceSpec): Problem[] {
  const problems: Problem[] = []
  const hasClasses = model.loss === 'softmax_cross_entropy'
  for (const key of ['ignoreIndex', 'labelSmoothing', 'classAxis'] as const) {
    const isUsed = hasClasses || (key === 'ignoreIndex' && model.loss === 'in_model')
    if (model[key] !== undefined && !isUsed)
      problems.push(
        problem(
          `model.${key}`,
          `has no use with the loss ${model.loss}: it belongs to softmax_cross_entropy`,
        ),
      )
  }
  if (model.labels !== undefined && model.loss !== 'in_model')
    problems.push(
      problem(
        'model.labels',
        `has no use with the loss ${model.loss}: it names the input of a loss in_model`,
      ),
    )
  if (convergence.metric === 'val_accuracy' && !hasClasses && model.loss !== 'binary_cross_entropy')
    problems.push(
      problem(
        'convergence.metric',
        `val_accuracy needs classes, which the loss ${model.loss} has not: use val_loss`,
      ),
    )
  return problems
}

function scheduleChecks({ schedule, totalSteps, warmupSteps, decaySteps }: TrainSpec): Problem[] {
  const problems: Problem[] = []
  if (schedule !== 'constant' && totalSteps === undefined)
    problems.push(problem('train.schedule', `${schedule} needs a last step: set total_steps`))
  if (totalSteps !== undefined && totalSteps <= warmupSteps)
    problems.push(
      problem('train.totalSteps', `${totalSteps} leaves nothing after ${warmupSteps} warmup_steps`),
    )
  if (schedule === 'wsd' && decaySteps === undefined)
    problems.push(problem('train.schedule', 'wsd needs the length of its decay: set decay_steps'))
  if (schedule !== 'wsd' && decaySteps !== undefined)
    problems.push(problem('train.decaySteps', `has no use with the schedule ${schedule}: remove it`))
  const rest = (totalSteps ?? Number.POSITIVE_INFINITY) - warmupSteps
  if (decaySteps !== undefined && decaySteps > rest)
    problems.push(
      problem('train.decaySteps', `${decaySteps} is more than the ${rest} steps after the warm-up`),
    )
  return problems
}

function optimizerChecks(train: TrainSpec): Problem[] {
  const { optimizer, localSteps, learningRate, minLearningRate } = train
  const problems: Problem[] = []
  if (train.optimizer === 'sgd' && train.nesterov && train.momentum === 0)
    problems.push(problem('train.nesterov', 'has no use without a momentum'))
  if (innerOnly.has(optimizer) && localSteps === 1)
    problems.push(
      problem('train.optimizer', `${optimizer} cannot step on an average: set local_steps to 2 or more`),
    )
  if (minLearningRate > learningRate)
    problems.push(
      problem('train.minLearningRate', `${minLearningRate} is above the learning_rate ${learningRate}`),
    )
  return problems
}

function swarmChecks({ localSteps }: TrainSpec, { outer, overlap, codec, slowCodec }: SwarmSpec): Problem[] {
  const problems: Problem[] = []
  if (localSteps === 1 && outer !== undefined)
    problems.push(
      problem(
        'swarm.outer',
        'has no use with local_steps 1, where the optimizer itself steps on the average: remove it',
      ),
    )
  if (localSteps === 1 && overlap === true)
    problems.push(
      problem(
        'swarm.overlap',
        'needs several local steps: the gradient of the next step is one at the new parameters',
      ),
    )
  if (slowCodec !== undefined && codecNames.indexOf(slowCodec) <= codecNames.indexOf(codec))
    problems.push(problem('swarm.slowCodec', `${slowCodec} is not coarser than codec ${codec}`))
  return problems
}

/** What error feedback and momentum do to each other, and keys that have no use. */
function sparseChecks(train: TrainSpec, { codec, topkKept, outer }: SwarmSpec): Problem[] {
  if (codec !== 'topk')
    return topkKept === undefined
      ? []
      : [problem('swarm.topkKept', `has no use with codec ${codec}: remove it`)]
  const share = (topkKept ?? topkKeptDefault) / chunkElements
  const harm = `harms where topk sends ${(100 * share).toFixed(1)} % of the values`
  if (outer?.kind === 'nesterov' && outer.momentum > 0 && share <= sparseShareMax)
    return [problem('swarm.outer', `has momentum, which ${harm}: use kind plain, or a larger topk_kept`)]
  // with one local step the job's own optimizer steps on the sparse mean
  if (train.localSteps === 1 && (train.optimizer !== 'sgd' || train.momentum > 0))
    return [
      problem(
        'swarm.codec',
        'topk with local_steps 1 needs optimizer sgd without momentum: use several local steps',
      ),
    ]
  return []
}

function metricChecks({ metric, mode, target }: ConvergenceSpec): Problem[] {
  const problems: Problem[] = []
  const better = metric === 'val_accuracy' ? 'max' : 'min'
  if (mode !== better)
    problems.push(problem('convergence.mode', `must be ${better} for ${metric}, not ${mode}`))
  if (metric === 'val_accuracy' && target !== undefined && (target <= 0 || target > 1))
    problems.push(
      problem('convergence.target', `${target} is not an accuracy: it lies above 0 and is at most 1`),
    )
  return problems
}

function problem(path: string, message: string): Problem {
  return { path: path.split('.'), message }
}
