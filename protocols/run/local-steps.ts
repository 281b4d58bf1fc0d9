/**
 * How many local steps a round has, in jobs that say `local_steps: auto`: enough that communication costs little, and
 * no more, because every step without an average costs quality.
 *
 *     H = ⌈T / τ⌉           training goes on while parts travel: then it hides them
 *     H = ⌈T / (τ · ε)⌉     it waits for them: then ε of the time is lost
 *
 * T is how long an average takes, τ one step of a peer of usual speed. Both come from what peers said in their commits
 * and the plan repeated, so all derive the same number, and it is part of the next state.
 */

import type { Contribution } from '../allreduce/index.ts'
import { quantile } from '../core/quantile.ts'

/** The first round's, when nothing is measured: DiLoCo's scaling laws were made with it (Charles et al. 2025). */
export const localStepsFirst = 30

/**
 * Fewer do not pay: below about 20 the loss does not change (scaling laws, DiLoCo), and each round costs four round
 * trips.
 */
const localStepsMin = 20

/** More are known to be harmless only for models of 150 M parameters and more. */
const localStepsMax = 100

/** ε: 10 % of the time. */
const waitingShare = 0.1

/** One round changes the number at most by this factor: a single slow average is usually somebody's download. */
const changeMax = 2

export interface StepsInit {
  /** Local steps of the round that gave the measurements. */
  steps: number
  contributions: readonly Contribution[]
  /** Samples of one step. */
  batch: number
  /** Training goes on while parts travel. */
  isOverlapped: boolean
}

/** Local steps of the next round; those of the last when nothing was measured. */
export function nextLocalSteps({ steps, contributions, batch, isOverlapped }: StepsInit): number {
  const paces = contributions.flatMap(({ pace }) => (pace === undefined ? [] : [pace]))
  const waits = paces.map(({ averagingMs }) => averagingMs).filter((ms) => ms > 0)
  const rates = paces.map(({ samplesPerSecond }) => samplesPerSecond).filter((rate) => rate > 0)
  if (waits.length === 0 || rates.length === 0) return steps
  const stepMs = (1000 * batch) / quantile(rates, 0.5)
  // who comes early waits for the others as well; the lower quarter is about the last ones, who wait for bytes alone
  const averagingMs = quantile(waits, 0.25)
  const wanted = Math.ceil(averagingMs / (isOverlapped ? stepMs : stepMs * waitingShare))
  const near = Math.min(changeMax * steps, Math.max(steps / changeMax, wanted))
  return Math.ceil(Math.min(localStepsMax, Math.max(localStepsMin, near)))
}
