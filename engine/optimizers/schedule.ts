/**
 * Learning rates over a run. Every peer derives the rate of a step itself and multiplies shared parameters by it, so
 * the formulas use only correctly rounded operations, of which cosine.ts makes the cosine.
 *
 * Warm-up and cosine are nanoGPT's `get_lr` (train.py): with W warm-up and T total steps, step s from 0,
 *   s < W    η·(s + 1)/(W + 1)
 *   s >= T   η_end
 *   else     η_end + (η - η_end)·c(d),  d = (s - W)/(T - W),  c = 1 - d (linear) or (1 + cos πd)/2 (cosine)
 * `wsd` (warm-up, stable, decay: Hu et al., "MiniCPM", 2024, section 4.2) stays at η until step T - D and falls
 * linearly in the last D steps, so that a run can be prolonged without having been planned so.
 */
import { unreachable } from '../../protocols/core/assert.ts'
import { cosineOfHalfTurns } from '../../protocols/core/cosine.ts'

export type Schedule =
  | { kind: 'constant'; learningRate: number; warmupSteps: number }
  | {
      kind: 'linear' | 'cosine'
      /** η, reached after the warm-up; > 0. */
      learningRate: number
      /** η_end, from step `totalSteps` on; >= 0. */
      finalLearningRate: number
      /** W, >= 0 and < `totalSteps`. */
      warmupSteps: number
      /** T, in steps of the run. */
      totalSteps: number
    }
  | {
      kind: 'wsd'
      /** η, from the end of the warm-up to the start of the decay; > 0. */
      learningRate: number
      /** η_end, from step `totalSteps` on; >= 0. */
      finalLearningRate: number
      /** W, >= 0. */
      warmupSteps: number
      /** D, >= 1 and <= `totalSteps` - `warmupSteps`. */
      decaySteps: number
      /** T, in steps of the run. */
      totalSteps: number
    }

/** The learning rate of `step`, counted from 0. The same bits on every platform. */
export function learningRateAt(schedule: Schedule, step: number): number {
  const { learningRate, warmupSteps } = schedule
  if (step < warmupSteps) return (learningRate * (step + 1)) / (warmupSteps + 1)
  switch (schedule.kind) {
    case 'constant':
      return learningRate
    case 'linear':
    case 'cosine': {
      const { finalLearningRate, totalSteps } = schedule
      if (step >= totalSteps) return finalLearningRate
      const done = (step - warmupSteps) / (totalSteps - warmupSteps)
      const share = schedule.kind === 'linear' ? 1 - done : 0.5 * (1 + cosineOfHalfTurns(done))
      return finalLearningRate + share * (learningRate - finalLearningRate)
    }
    case 'wsd': {
      const { finalLearningRate, totalSteps, decaySteps } = schedule
      if (step >= totalSteps) return finalLearningRate
      const left = Math.min(1, (totalSteps - step) / decaySteps)
      return finalLearningRate + left * (learningRate - finalLearningRate)
    }
    default:
      return unreachable(schedule)
  }
}
