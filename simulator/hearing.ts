/**
 * What one end of a link hears: everything that arrives, unless it is muted. Then nothing is let through and nobody is
 * told; the end finds that out by itself, as those of protocols/wire/pulse.ts do, and gives its connection up in the
 * end.
 *
 *     mute ──silentMs──▶ silent ──giveUpMs──▶ given up
 *       └──────┴──── the time is over ──▶ heard; what had arrived is delivered in its order
 */

import { pulseMs, silentMs } from '../protocols/core/limits.ts'
import type { Random } from '../protocols/core/random.ts'
import { tickMs } from '../protocols/wire/pulse.ts'
import type { VirtualClock } from './clock.ts'

/** A connection over which nothing comes is given up after this: libp2p's pings go unanswered. */
const giveUpMs = 30_000

export interface HearingInit {
  clock: VirtualClock
  random: Random
  /** This end knows of a connection. */
  isUp(): boolean
  /** Counts connections. */
  connection(): number
  onSilent(): void
  /** Something comes again after `onSilent`. */
  onHeard(): void
  onGivenUp(): void
}

export class Hearing {
  readonly #init: HearingInit
  #mutedSinceMs = 0
  #mutedUntilMs = 0
  #isSilent = false
  /** Deliveries of what arrived meanwhile. */
  readonly #held: (() => void)[] = []

  constructor(init: HearingInit) {
    this.#init = init
  }

  /**
   * How long a connection whose other end is gone seems to be there, because its end is not heard of; 0: not at all.
   */
  get deceivedMs(): number {
    return Math.min(Math.max(0, this.#mutedUntilMs - this.#init.clock.now()), giveUpMs)
  }

  /** Lets nothing through for `durationMs`, then calls `onEnd`; false when it is muted for as long already. */
  mute(durationMs: number, onEnd: () => void): boolean {
    const { clock } = this.#init
    const untilMs = clock.now() + durationMs
    if (untilMs <= this.#mutedUntilMs) return false
    const isMuted = this.#isMuted
    this.#mutedUntilMs = untilMs
    clock.setTimer(durationMs, () => {
      if (this.#isMuted) return // muted again meanwhile
      this.#unmute()
      onEnd()
    })
    if (isMuted) return true
    this.#mutedSinceMs = clock.now()
    this.#listen()
    return true
  }

  /** Calls `deliver` when what arrives now is let through. */
  arrive(deliver: () => void): void {
    if (this.#isMuted) this.#held.push(deliver)
    else deliver()
  }

  /** The connection is gone, and its silence with it. */
  lose(): void {
    this.#isSilent = false
  }

  get #isMuted(): boolean {
    return this.#init.clock.now() < this.#mutedUntilMs
  }

  /** Finds out that nothing comes, and in the end that the connection is gone. */
  #listen(): void {
    const { clock, random, isUp, connection, onSilent, onGivenUp } = this.#init
    const [first, sinceMs] = [connection(), this.#mutedSinceMs]
    const isStill = (): boolean => {
      return this.#isMuted && this.#mutedSinceMs === sinceMs && isUp() && connection() === first
    }
    // The last pulse came up to a pause ago, and the link is looked at every tick.
    const noticeMs = silentMs + tickMs * (1 + random.next()) - pulseMs * random.next()
    clock.setTimer(noticeMs, () => {
      if (!isStill()) return
      this.#isSilent = true
      onSilent()
    })
    clock.setTimer(giveUpMs, () => {
      if (isStill()) onGivenUp()
    })
  }

  #unmute(): void {
    if (this.#isSilent) {
      this.#isSilent = false
      this.#init.onHeard()
    }
    for (const deliver of this.#held.splice(0)) this.arrive(deliver)
  }
}
