/**
 * Which jobs a node leaves alone: those that it has seen the end of, those that cannot run here, and for a while those
 * that failed for a reason that may pass: a peer that went away, a block that nobody had.
 */

import { SwarmError } from '../../protocols/core/errors.ts'

/**
 * The first wait doubles with every failure: a peer that was restarted is back within seconds, a lost link takes
 * longer.
 */
const firstWaitMs = 5_000

/** The most a node stays away: a swarm that has recovered gets it back soon, and a hopeless job costs little. */
const waitMsMax = 5 * 60_000

interface Tried {
  failures: number
  /** From this time on it may be tried again. */
  dueMs: number
}

export class TriedJobs {
  readonly #tried = new Map<string, Tried>()

  /** `job` has come to its end here. */
  end(job: string): void {
    this.#tried.set(job, { failures: 0, dueMs: Number.POSITIVE_INFINITY })
  }

  /** @returns milliseconds until `job` is tried again; `undefined`: never, since it would fail again. */
  fail(job: string, error: unknown, nowMs: number): number | undefined {
    const failures = this.#tried.get(job)?.failures ?? 0
    const canPass = error instanceof SwarmError && error.retry !== 'never'
    const waitMs = canPass ? Math.min(firstWaitMs * 2 ** failures, waitMsMax) : Number.POSITIVE_INFINITY
    this.#tried.set(job, { failures: failures + 1, dueMs: nowMs + waitMs })
    return canPass ? waitMs : undefined
  }

  /** Milliseconds until `job` may be run, 0: now; infinite for never. */
  waitMs(job: string, nowMs: number): number {
    return Math.max(0, (this.#tried.get(job)?.dueMs ?? 0) - nowMs)
  }

  /** Forgets all jobs but `known`. */
  keepOnly(known: readonly string[]): void {
    for (const job of this.#tried.keys()) if (!known.includes(job)) this.#tried.delete(job)
  }
}
