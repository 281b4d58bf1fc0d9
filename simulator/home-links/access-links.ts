/**
 * The access links of simulated homes, at the level of flows: what a message waits for on its way.
 *
 *     sender's uplink ──▶ distance ──▶ receiver's downlink
 *
 * An uplink carries what is given to it in one order, each message at its full rate; a downlink too. Small frames do
 * not queue: where many streams share a link fairly, theirs is empty, so votes are not held up by parts for others.
 * Behind a part for the same peer they do wait, as they are on one stream. Loss, slow start and the middle of the
 * network are left out.
 */

import type { Clock } from '../../protocols/core/clock.ts'
import { delayMs, type Home } from './world.ts'

/** Frames up to so many bytes go at once: a vote, a want, a commit of 153 digests. */
const smallBytes = 8_192

interface Transfer {
  to: string
  bytes: number
  /** What arrives with it: the message, and the small ones that were sent to the same peer since. */
  deliveries: (() => void)[]
}

interface Uplink {
  /** The first is under way. */
  queue: Transfer[]
  /** Receiver → when the last part for it is there. */
  heldMs: Map<string, number>
  sentBytes: number
}

export class AccessLinks {
  readonly #homes: ReadonlyMap<string, Home>
  readonly #clock: Clock
  readonly #uplinks = new Map<string, Uplink>()
  /** Until when a downlink is busy. */
  readonly #downMs = new Map<string, number>()

  /** `homes`: by peer. */
  constructor(homes: ReadonlyMap<string, Home>, clock: Clock) {
    this.#homes = homes
    this.#clock = clock
  }

  /** Sends `bytes` now, and calls `deliver` when they are there. */
  carry(from: string, to: string, bytes: number, deliver: () => void): void {
    const uplink: Uplink = this.#uplinks.get(from) ?? { queue: [], heldMs: new Map(), sentBytes: 0 }
    this.#uplinks.set(from, uplink)
    uplink.sentBytes += bytes
    if (bytes <= smallBytes) {
      const before = uplink.queue.findLast((transfer) => transfer.to === to)
      if (before !== undefined) {
        before.deliveries.push(deliver)
        return
      }
      const waitMs = (uplink.heldMs.get(to) ?? 0) - this.#clock.now()
      const travelMs = bytes / this.#homes.get(from)!.up + this.#onWayMs(from, to)
      this.#clock.setTimer(Math.max(waitMs, travelMs), deliver)
      return
    }
    uplink.queue.push({ to, bytes, deliveries: [deliver] })
    if (uplink.queue.length === 1) this.#sendFirst(from, uplink)
  }

  /** `peer` is gone, and with it what it had not sent. */
  forget(peer: string): void {
    const uplink = this.#uplinks.get(peer)
    if (uplink !== undefined) this.#uplinks.set(peer, { ...uplink, queue: [] })
  }

  /** Bytes that `peer` has given to its uplink so far. */
  sentBytes(peer: string): number {
    return this.#uplinks.get(peer)?.sentBytes ?? 0
  }

  #sendFirst(from: string, uplink: Uplink): void {
    const { to, bytes } = uplink.queue[0]!
    this.#clock.setTimer(bytes / this.#homes.get(from)!.up, () => {
      if (this.#uplinks.get(from) !== uplink) return
      const { deliveries } = uplink.queue.shift()!
      if (uplink.queue.length > 0) this.#sendFirst(from, uplink)
      const nowMs = this.#clock.now()
      const tookMs = bytes / this.#homes.get(to)!.down
      // A downlink takes a message in as it comes, unless it was busy: then after what came before.
      const heldMs = Math.max(nowMs + this.#onWayMs(from, to), (this.#downMs.get(to) ?? 0) + tookMs)
      this.#downMs.set(to, heldMs)
      uplink.heldMs.set(to, heldMs)
      this.#clock.setTimer(heldMs - nowMs, () => {
        for (const deliver of deliveries) deliver()
      })
    })
  }

  #onWayMs(from: string, to: string): number {
    return delayMs(this.#homes.get(from)!, this.#homes.get(to)!)
  }
}
