/** The round that a tab works for now, and its end: what a donor waits for who leaves well. */

import type { RunPhase } from '../../protocols/run/ports.ts'

export class CurrentRound {
  #end: PromiseWithResolvers<void> | undefined

  /** Resolves once the round under way is over for this tab; at once when there is none. */
  get ended(): Promise<void> {
    return this.#end?.promise ?? Promise.resolve()
  }

  /** While it waits for others, fetches a state or has finished, a tab owes nobody anything. */
  enter(phase: RunPhase): void {
    if (phase === 'training' || phase === 'averaging') this.#end ??= Promise.withResolvers()
    else this.leave()
  }

  /** It was committed, and the next one begins. */
  commit(): void {
    this.leave()
    this.#end = Promise.withResolvers()
  }

  /** This tab takes no part in it any more. */
  leave(): void {
    this.#end?.resolve()
    this.#end = undefined
  }
}
