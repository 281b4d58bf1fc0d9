/**
 * Whom the outcome of a round is for: the one call of the run that waits for it, or, while this peer has no state,
 * whoever follows all rounds.
 *
 *     average, receive ──▶ waiting ──Committed, Behind──▶ answered
 *                             └──────a fault, the signal──▶ rejected
 *
 * The average is made here and only for somebody: a round that nobody waits for is not decoded.
 */

import type { RoundCommitted, RoundOutcome } from './options.ts'
import type { CommittedRound } from './round/events.ts'
import type { Vectors } from './vectors.ts'

/** What a call waits for. */
export interface Wanted {
  round: number
  /** f32[parameterCount], or absent: becomes the average. */
  averageInto: Float32Array | undefined
}

interface Waiter extends Wanted {
  resolve(outcome: RoundOutcome): void
  reject(error: unknown): void
}

export class Outcomes {
  readonly #self: string
  readonly #vectors: Vectors
  #waiter: Waiter | undefined
  #follower: ((outcome: RoundCommitted) => void) | undefined

  constructor(self: string, vectors: Vectors) {
    this.#self = self
    this.#vectors = vectors
  }

  /** The outcome of a round that `begin` asks for. @throws {unknown} the signal's reason, or what `fail` was given. */
  async of(wanted: Wanted, begin: () => void, { signal }: { signal: AbortSignal }): Promise<RoundOutcome> {
    signal.throwIfAborted()
    let onAbort = () => {}
    try {
      return await new Promise<RoundOutcome>((resolve, reject) => {
        onAbort = () => reject(signal.reason)
        signal.addEventListener('abort', onAbort, { once: true })
        this.#waiter = { ...wanted, resolve, reject }
        begin()
      })
    } finally {
      signal.removeEventListener('abort', onAbort)
      this.#waiter = undefined
    }
  }

  /** Reports every round's outcome that no call waits for; ended by the returned function. */
  follow(onCommitted: (outcome: RoundCommitted) => void): () => void {
    this.#follower = onCommitted
    return () => {
      this.#follower = undefined
    }
  }

  /** Somebody wants to know what `round` came to. */
  isWanted(round: number): boolean {
    return this.#waiter?.round === round || this.#follower !== undefined
  }

  /** A round was committed. Parts that wait to be sent may lie in the memory that its average is put in. */
  committed(outcome: CommittedRound): void {
    const waiter = this.#waiter?.round === outcome.round ? this.#waiter : undefined
    if (waiter === undefined && this.#follower === undefined) return
    const committed: RoundCommitted = {
      kind: 'committed',
      round: outcome.round,
      root: outcome.root,
      average: this.#vectors.average(outcome, waiter?.averageInto),
      electorate: outcome.electorate,
      contributors: outcome.complete.map(({ peer, weight, pace }) => ({ peer, weight, pace })),
      omitted: this.#vectors.omitted(outcome, this.#self),
      totalWeight: outcome.totalWeight,
    }
    if (waiter !== undefined) waiter.resolve(committed)
    else this.#follower?.(committed)
  }

  /** The others went on without this peer. */
  behind({ round, root, peers }: { round: number; root: string; peers: readonly string[] }): void {
    this.#waiter?.resolve({ kind: 'behind', round, root, peers })
  }

  /** No outcome comes any more. */
  fail(error: unknown): void {
    this.#waiter?.reject(error)
  }
}
