/**
 * The machine's effects, carried out in the order in which it gave them, and none before the pledge that it may rest on
 * is written:
 *
 *     Pledged A, Send 1, Send 2, Pledged B, Send 3   ──▶   write A … done ──▶ 1, 2, write B … done ──▶ 3
 *
 * What cannot be written is not said: after a failed write nothing is carried out any more. So it is when a write takes
 * too long, or more effects gather behind it than may: a network's disk can keep one waiting for ever.
 */

import type { Clock } from '../core/clock.ts'
import { SwarmError } from '../core/errors.ts'
import { partsMax } from '../core/limits.ts'
import type { PledgeStore } from './options.ts'
import { encodePledge } from './pledge-codec.ts'
import type { Effect } from './round/events.ts'

type Pledged = Extract<Effect, { kind: 'Pledged' }>

/** Effects that wait for a write: what may wait for one peer (`outgoing.ts`). A round of a row is some thousands. */
const heldMax = 4 * partsMax

/** A vote for a vector of a GB, with all of its bytes, on a disk that writes 5 MB/s; no disk that works is slower. */
const writeMsMax = 200_000

export interface EffectQueueInit {
  self: string
  /** Absent: this peer's pledges are forgotten, and hold nothing up. */
  store: PledgeStore | undefined
  clock: Clock
  /** May put further effects. */
  carryOut(effect: Exclude<Effect, Pledged>): void
  /** A pledge could not be written. */
  onFailure(error: unknown): void
}

export class EffectQueue {
  readonly #init: EffectQueueInit
  readonly #effects: Effect[] = []
  #isDraining = false
  #isWriting = false
  #hasFailed = false

  constructor(init: EffectQueueInit) {
    this.#init = init
  }

  /** Carries out `effects` after those that wait: before it returns, unless a pledge has to be written first. */
  put(effects: readonly Effect[]): void {
    if (this.#hasFailed) return // the run trains on until it hears of it: what others send meanwhile must not gather here
    this.#effects.push(...effects)
    this.#drain()
    if (!this.#isWriting || this.#effects.length <= heldMax) return
    this.#failStuck(`${this.#effects.length} effects wait for a pledge to be written`)
  }

  #drain(): void {
    if (this.#isDraining) return
    this.#isDraining = true
    try {
      while (!this.#isWriting) {
        const next = this.#effects.shift()
        if (next === undefined) return
        if (next.kind !== 'Pledged') this.#init.carryOut(next)
        else if (this.#init.store !== undefined) void this.#write(next, this.#init.store)
      }
    } finally {
      this.#isDraining = false
    }
  }

  async #write({ pledge }: Pledged, store: PledgeStore): Promise<void> {
    this.#isWriting = true
    const stopTimer = this.#init.clock.setTimer(writeMsMax, () =>
      this.#failStuck(`a pledge was not written in ${writeMsMax / 1000} s`),
    )
    try {
      await store.write(pledge && encodePledge(pledge, this.#init.self))
    } catch (error) {
      this.#fail(error)
    } finally {
      stopTimer()
    }
    this.#isWriting = false
    this.#drain()
  }

  #failStuck(how: string): void {
    this.#fail(new SwarmError('STORAGE_FAILED', how, { hint: 'Look whether the disk answers.' }))
  }

  #fail(error: unknown): void {
    if (this.#hasFailed) return
    this.#hasFailed = true
    this.#effects.length = 0
    this.#init.onFailure(error)
  }
}
