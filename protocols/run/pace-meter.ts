/** How fast this peer works, from what it did in earlier rounds: what its offers say as their pace. */

import type { Pace } from '../allreduce/index.ts'

/** Weight of the newest round: a laptop that slows down is believed after two or three rounds. */
const newestShare = 0.5

export class PaceMeter {
  #samplesPerSecond = 0
  #averagingMs = 0

  /** Undefined before the first round was trained. */
  get value(): Pace | undefined {
    if (this.#samplesPerSecond === 0) return undefined
    return { samplesPerSecond: this.#samplesPerSecond, averagingMs: this.#averagingMs }
  }

  /** A round's training had this many samples per second, > 0. */
  trained(samplesPerSecond: number): void {
    this.#samplesPerSecond = mixed(this.#samplesPerSecond, samplesPerSecond)
  }

  /** From giving an update to having the mean it took this long. */
  averaged(ms: number): void {
    this.#averagingMs = mixed(this.#averagingMs, Math.max(1, ms))
  }
}

function mixed(before: number, newest: number): number {
  return before === 0 ? newest : before + newestShare * (newest - before)
}
