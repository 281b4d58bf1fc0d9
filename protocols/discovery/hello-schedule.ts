/**
 * When this peer says HELLO. Pure: times in, times out.
 *
 * Every `helloIntervalMs`, and soon after a change of its own or a newcomer (who then knows the swarm after a moment,
 * not after an interval); but never sooner after the last one than a gap that grows with the swarm. Each HELLO reaches
 * everybody and is verified by everybody, so what counts is how many the swarm says together: without the gap
 * thirty-six programs on two cores did nothing else while they came together, and their dials timed out. From 48 peers
 * on nobody speaks out of turn.
 */

import { helloIntervalMs } from '../core/limits.ts'
import type { Random } from '../core/random.ts'

/** Least gap. With rounds of 50 ms a small swarm would otherwise gossip twenty times a second. */
const gapMsMin = 1_000

/** What each live peer adds to the gap: all of them together say four a second. */
const gapMsPerPeer = 250

export class HelloSchedule {
  readonly #random: Random
  #saidAt = Number.NEGATIVE_INFINITY
  #dueAt = Number.POSITIVE_INFINITY

  constructor(random: Random) {
    this.#random = random
  }

  /** Wants a HELLO `delayMs` from `now`, or as soon after the last as a swarm of `peers` others allows. */
  hasten(delayMs: number, { now, peers }: { now: number; peers: number }): void {
    const gapMs = Math.min(helloIntervalMs, Math.max(gapMsMin, gapMsPerPeer * peers))
    this.#dueAt = Math.min(this.#dueAt, Math.max(now + delayMs, this.#saidAt + gapMs))
  }

  isDue(now: number): boolean {
    return now >= this.#dueAt
  }

  /** One goes out now; the next follows in its turn, spread so that peers do not speak in step. */
  said(now: number): void {
    this.#saidAt = now
    this.#dueAt = now + helloIntervalMs * (0.9 + 0.2 * this.#random.next())
  }
}
