/**
 * Whether the peer at the other end of a link is still there. A connection that breaks says so; one whose cable was
 * pulled, whose laptop was closed or whose NAT forgot it says nothing. So each end says an empty frame when it has
 * nothing else to say, and listens:
 *
 *     heard ──no byte for silentMs──▶ silent ──a byte──▶ heard
 *
 * Nobody is asked: a question would wait behind all that its sender has queued, on an uplink that it shares with nobody
 * who is asked, and the answer would come late from peers that are well. What comes by itself waits for the uplink of
 * its sender alone, and while that is full other bytes come.
 *
 * Time is counted in ticks of this process: one that was suspended, or busy for ten seconds, has not listened, and what
 * came meanwhile is read before the next tick.
 *
 * A peer that has not said anything yet may not have taken the link up, because it is not at the moment at which it
 * wants it. It is not silent, and what is said to it is one frame and no more: it would have to keep them all. If it
 * dies then, it is found as before, by pings of its connection.
 */

import { pulseMs, silentMs } from '../core/limits.ts'

/** Between two looks at the links: half of what an end may be quiet for, so that it is late by no more than that. */
export const tickMs = pulseMs / 2

/** What a link says of itself. */
export interface Activity {
  /** Counts what came, in pieces as the network brings them. */
  heard: number
  /** Counts frames that were given to it to send. */
  said: number
  /** Frames wait to be sent. */
  isSending: boolean
  /** This end reads nothing at present, because its handler is behind. */
  isHeldBack: boolean
}

export interface PulseInit {
  activity(): Activity
  /** Sends an empty frame. */
  say(): void
  onSilent(): void
  onHeard(): void
}

/** The pulse of one link; `tick` is called every `tickMs`. */
export class Pulse {
  readonly #init: PulseInit
  #heard = 0
  #said = 0
  #quietMs = 0
  #idleMs = 0
  #isSilent = false

  /** Says something at once: the other end waits for it. */
  constructor(init: PulseInit) {
    this.#init = init
    this.#say()
  }

  tick(): void {
    const { heard, said, isSending, isHeldBack } = this.#init.activity()
    this.#idleMs = said !== this.#said || isSending ? 0 : this.#idleMs + tickMs
    this.#said = said
    if (this.#idleMs >= pulseMs && heard > 0) this.#say()
    if (heard !== this.#heard) this.hear()
    this.#heard = heard
    this.#quietMs = isHeldBack || heard === 0 ? 0 : this.#quietMs + tickMs
    const isQuiet = this.#quietMs >= silentMs + tickMs // what came last may have come right after a look
    if (!isQuiet || this.#isSilent) return
    this.#isSilent = true
    this.#init.onSilent()
  }

  /** Something came. */
  hear(): void {
    this.#quietMs = 0
    if (!this.#isSilent) return
    this.#isSilent = false
    this.#init.onHeard()
  }

  #say(): void {
    this.#init.say()
    this.#said = this.#init.activity().said
    this.#idleMs = 0
  }
}
