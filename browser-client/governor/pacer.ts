/**
 * The duty cycle: how long to rest after each piece of work, so that work is the asked share of the time.
 *
 *     rest owed for work w at share d:  w · (1/d − 1)
 *
 * The books carry over: a timer that fires late, or a rest too short to sleep for, is settled with the next piece. Only
 * what was measured counts, so the share holds however uneven the work is. All pure; the worker calls {@link restMs}
 * before a piece of work, sleeps as long as it says, asks again, and reports the piece to {@link afterWork}.
 */

/** Immutable. Times are milliseconds of one clock. */
export interface Pace {
  /** Rest that was owed at `sinceMs`; below 0 when more was rested than owed. */
  owedMs: number
  sinceMs: number
}

/**
 * A rest is asked for in pieces of at most this, so that a raised share takes effect soon, and a tab that was asleep
 * for an hour has not earned an hour without rests: no more than this is credited.
 */
const restMsMax = 1000

/** Browsers round nested timers up to 4 ms (HTML standard, timers); a shorter rest waits until it has grown. */
const restMsMin = 4

/** The books of a worker that begins at `nowMs`. */
export function newPace(nowMs: number): Pace {
  return { owedMs: 0, sinceMs: nowMs }
}

/** How long to rest before the next piece of work: 0 to go on, at most {@link restMsMax}; ask again afterwards. */
export function restMs({ owedMs, sinceMs }: Pace, nowMs: number): number {
  const left = owedMs - (nowMs - sinceMs)
  return left < restMsMin ? 0 : Math.min(left, restMsMax)
}

/** The books after a piece of work from `startedMs` to `endedMs` under a share of `dutyCycle`, above 0 to 1. */
export function afterWork(pace: Pace, startedMs: number, endedMs: number, dutyCycle: number): Pace {
  const left = Math.max(-restMsMax, pace.owedMs - (startedMs - pace.sinceMs))
  // at a full share nothing is owed, neither by the worker nor to it
  if (dutyCycle >= 1) return { owedMs: 0, sinceMs: endedMs }
  return { owedMs: left + (endedMs - startedMs) * (1 / dutyCycle - 1), sinceMs: endedMs }
}

/**
 * The books when the share changes to `dutyCycle` in mid-rest: what is owed is what the work would owe under the new
 * share.
 */
export function withShare(pace: Pace, from: number, to: number): Pace {
  if (to >= 1 || from >= 1) return { ...pace, owedMs: 0 }
  return { ...pace, owedMs: (pace.owedMs * (1 / to - 1)) / (1 / from - 1) }
}
