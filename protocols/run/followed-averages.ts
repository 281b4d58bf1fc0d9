/** What the rounds came to that a peer without a state follows: kept until a state is here that they lead on from. */

import type { RoundOutcome } from '../allreduce/index.ts'

export type Committed = Extract<RoundOutcome, { kind: 'committed' }>

/**
 * Bytes of averages held while a state is fetched: 256 MiB, a quarter of what a tab can count on. Beyond it the oldest
 * go, and a newer state is fetched instead.
 */
const bufferBytesMax = 256 << 20

export class FollowedAverages {
  readonly #averages = new Map<number, Committed>()
  #next = Promise.withResolvers<void>()

  add(outcome: Committed): void {
    this.#averages.set(outcome.round, outcome)
    const countMax = Math.max(1, Math.floor(bufferBytesMax / outcome.average.byteLength))
    for (const round of this.#averages.keys())
      if (this.#averages.size > countMax) this.#averages.delete(round)
    this.#next.resolve()
    this.#next = Promise.withResolvers()
  }

  /** What `round` came to, if it is here: the caller's from now on. */
  take(round: number): Committed | undefined {
    const outcome = this.#averages.get(round)
    this.#averages.delete(round)
    return outcome
  }

  /** A round after `round` is here. */
  hasAfter(round: number): boolean {
    return [...this.#averages.keys()].some((other) => other > round)
  }

  /** Resolves when another one comes. */
  get next(): Promise<void> {
    return this.#next.promise
  }
}
