/**
 * When a run is over, as a table: each rule looks at the record and answers with a reason, or not at all. The first
 * rule that answers gives the verdict, so their order matters: a run that reached its target converged, whatever came
 * after.
 *
 * Written with L_e for the held-out loss of evaluation e, x_e for the job's metric, better-than in the sense of its
 * mode.
 */

import { unreachable } from '../protocols/core/assert.ts'
import { agreedStates } from './agreement.ts'
import type { Evaluation, RunRecord } from './run-record.ts'

/** Verdicts that end a run. */
export type FinalVerdict = 'converged' | 'diverged' | 'plateaued' | 'out-of-budget'

export interface Rule {
  verdict: FinalVerdict
  /** A sentence that says why the run is over, or `undefined` while it is not. */
  reason(record: RunRecord, now: number): string | undefined
}

/**
 * A held-out loss this many times the best one is divergence, if seen twice running. Once happens to healthy runs at
 * high learning rates. (Prechelt 1998, "Early stopping: but when?", stops at 1.02 to 1.05 for the sake of time; we only
 * want to tell apart what will not come back.)
 */
const divergenceFactor = 1.5

/**
 * And at least this share of all that the run had gained must be lost again: close to a loss of 0, 1.5 times the best
 * is the noise of a few samples. The same share of what was learned must be lost in accuracy, where the job asks for
 * that.
 */
const divergenceShare = 0.1

/** The rules in order of precedence. */
export const rules: readonly Rule[] = [
  { verdict: 'converged', reason: targetReached },
  { verdict: 'diverged', reason: trainingLossNotFinite },
  { verdict: 'diverged', reason: heldOutLossNotFinite },
  { verdict: 'diverged', reason: heldOutLossRising },
  { verdict: 'plateaued', reason: patienceUsedUp },
  { verdict: 'out-of-budget', reason: roundsUsedUp },
  { verdict: 'out-of-budget', reason: timeUsedUp },
]

/** `x_e ≥ target` for mode max, `x_e ≤ target` for mode min, for any evaluation e. */
function targetReached(record: RunRecord): string | undefined {
  const { metric } = record.rules
  const reached = firstOnTarget(record)
  return reached && `${metric} ${shown(metricOf(record, reached))} reached the target ${record.rules.target}`
}

/** More than half of the reporting peers had a loss that is not finite in their last step. */
function trainingLossNotFinite(record: RunRecord): string | undefined {
  const { reports } = record
  const broken = reports.filter(({ isLossNotFinite }) => isLossNotFinite).length
  if (broken * 2 <= reports.length) return undefined
  return `the training loss of ${broken} of ${reports.length} peers is not finite`
}

/** `L_e` of the last evaluation is NaN or infinite. */
function heldOutLossNotFinite(record: RunRecord): string | undefined {
  const last = record.evaluations.at(-1)
  if (last === undefined || Number.isFinite(last.loss)) return undefined
  return `the held-out loss of round ${last.round} is not finite`
}

/**
 * `L_e > max(1.5 · L_best, L_best + 0.1 · (L_first − L_best))` for the last two evaluations, with L_best the least loss
 * before them; and not where the job asks for accuracy and that holds: a classifier that overfits grows surer of its
 * mistakes, so that its loss rises without end while it answers as well as before (Guo et al. 2017, "On calibration of
 * modern neural networks", section 3).
 */
function heldOutLossRising(record: RunRecord): string | undefined {
  const earlier = record.evaluations.slice(0, -2)
  const lastTwo = record.evaluations.slice(-2)
  if (earlier.length === 0 || accuracyHolds(record, earlier, lastTwo)) return undefined
  const best = earlier.reduce((least, { loss }) => Math.min(least, loss), Number.POSITIVE_INFINITY)
  const gained = earlier[0]!.loss - best
  const limit = Math.max(divergenceFactor * best, best + divergenceShare * gained)
  if (!lastTwo.every(({ loss }) => loss > limit)) return undefined
  return `the held-out loss rose to ${shown(lastTwo[1]!.loss)} from ${shown(best)}, twice running`
}

/**
 * The job asks for accuracy, and `x_e − c ≥ 0.9 · (x_best − c)` for an e of `last`, with c the accuracy of guessing:
 * less than a tenth of what was learned is lost. A model that had learned next to nothing,
 * `x_best − c < 0.1 · (1 − c)`, has nothing to hold: its loss alone tells that it blew up.
 */
function accuracyHolds(
  { rules: { metric }, classes }: RunRecord,
  earlier: readonly Evaluation[],
  last: readonly Evaluation[],
): boolean {
  if (metric !== 'val_accuracy') return false
  const aboveGuessing = ({ accuracy }: Evaluation) => (accuracy ?? 0) - 1 / classes
  const learned = earlier.reduce((most, e) => Math.max(most, aboveGuessing(e)), Number.NEGATIVE_INFINITY)
  if (learned < divergenceShare * (1 - 1 / classes)) return false
  return last.some((evaluation) => aboveGuessing(evaluation) >= (1 - divergenceShare) * learned)
}

/**
 * No x among the last `patience` evaluations beats the best before them by more than `minDelta` (early stopping with
 * patience, as in Keras and Lightning).
 */
function patienceUsedUp(record: RunRecord): string | undefined {
  const { metric, patience, minDelta } = record.rules
  const scores = record.evaluations.map((evaluation) => score(record, evaluation))
  let best = Number.NEGATIVE_INFINITY
  let bestIndex = 0
  for (const [index, value] of scores.entries()) {
    if (value <= best + minDelta) continue
    best = value
    bestIndex = index
  }
  if (scores.length - 1 - bestIndex < patience) return undefined
  const bestValue = shown(metricOf(record, record.evaluations[bestIndex]!))
  return `${metric} has not improved on ${bestValue} by ${minDelta} in ${patience} evaluations`
}

/** `round ≥ maxRounds` for the agreed state, once that state has been measured: it may have reached the target. */
function roundsUsedUp(record: RunRecord): string | undefined {
  const { maxRounds } = record.rules
  if ((record.evaluations.at(-1)?.round ?? 0) < maxRounds) return undefined
  return `all ${maxRounds} rounds are used up`
}

/** `now − started ≥ maxMinutes`. */
function timeUsedUp(record: RunRecord, now: number): string | undefined {
  const { maxMinutes } = record.rules
  if (now - record.startedMs < maxMinutes * 60_000) return undefined
  return `the ${maxMinutes} minutes are used up`
}

/** The first evaluation that is on target. */
export function firstOnTarget(record: RunRecord): Evaluation | undefined {
  const { target, mode } = record.rules
  if (target === undefined) return undefined
  return record.evaluations.find((evaluation) => {
    const value = metricOf(record, evaluation)
    return mode === 'max' ? value >= target : value <= target
  })
}

/** The evaluation with the best metric, the earliest of equals; `undefined` before the first that is a number. */
export function bestEvaluation(record: RunRecord): Evaluation | undefined {
  let best: Evaluation | undefined
  for (const evaluation of record.evaluations) {
    const value = score(record, evaluation)
    if (value > (best === undefined ? Number.NEGATIVE_INFINITY : score(record, best))) best = evaluation
  }
  return best
}

/** Rounds that a majority has committed. */
export function roundsDone(record: RunRecord): number {
  return Math.max(agreedStates(record)[0]?.round ?? 0, record.evaluations.at(-1)?.round ?? 0)
}

/** The job's metric of `evaluation`; NaN where the model has no accuracy. */
export function metricOf({ rules: { metric } }: RunRecord, { loss, accuracy }: Evaluation): number {
  switch (metric) {
    case 'val_accuracy':
      return accuracy ?? Number.NaN
    case 'val_loss':
      return loss
    default:
      return unreachable(metric)
  }
}

/** The metric turned so that larger is better; what is not a number is worse than everything. */
function score(record: RunRecord, evaluation: Evaluation): number {
  const value = metricOf(record, evaluation)
  if (!Number.isFinite(value)) return Number.NEGATIVE_INFINITY
  return record.rules.mode === 'max' ? value : -value
}

function shown(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : String(value)
}
