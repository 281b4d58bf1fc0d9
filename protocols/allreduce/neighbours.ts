/**
 * The links of one peer, as its machine knows them.
 *
 *     wanted ──▶ expected ──LinkUp──▶ live ──LinkDown, or it said goodbye──▶ gone
 *                    └──────── linkMs without a link ────────────────────────▶ gone
 *
 * A link that was asked for may be on its way, which a broken one is not: whoever sits at its other end is waited for,
 * and is not passed over yet. A live peer may be *leaving*: here for the rest of the round. With whom to be linked is
 * decided in `contacts.ts`, what peers say of themselves is kept by the rounds.
 */

import { compareText } from './plan/electorate.ts'

export class Neighbours {
  readonly #linkMs: number
  readonly #up = new Set<string>()
  readonly #left = new Set<string>()
  readonly #leaving = new Set<string>()
  #wanted: readonly string[] = []
  /** Wanted peers whose link was not up since, with the moment from which it was wanted. */
  readonly #wantedSinceMs = new Map<string, number>()
  /** Sorted, and another list after each change: it is asked for at every event. */
  #live: readonly string[] = []

  /** `linkMs`: how long a link may take to come up. */
  constructor(linkMs: number) {
    this.#linkMs = linkMs
  }

  /** Peers to be linked with, sorted. */
  get wanted(): readonly string[] {
    return this.#wanted
  }

  /** Peers that are linked and did not say goodbye, sorted. */
  get live(): readonly string[] {
    return this.#live
  }

  /** There is a link, whether or not the peer said goodbye over it. */
  isUp(peer: string): boolean {
    return this.#up.has(peer)
  }

  isLive(peer: string): boolean {
    return this.#up.has(peer) && !this.#left.has(peer)
  }

  /** `peer` is live and goes after this round. */
  isLeaving(peer: string): boolean {
    return this.#leaving.has(peer) && this.isLive(peer)
  }

  isExpected(peer: string, nowMs: number): boolean {
    const sinceMs = this.#wantedSinceMs.get(peer)
    return sinceMs !== undefined && nowMs < sinceMs + this.#linkMs
  }

  /** When the next link that is on its way will count as gone. */
  dueMs(nowMs: number): number {
    let dueMs = Number.POSITIVE_INFINITY
    for (const sinceMs of this.#wantedSinceMs.values())
      if (nowMs < sinceMs + this.#linkMs) dueMs = Math.min(dueMs, sinceMs + this.#linkMs)
    return dueMs
  }

  /** Takes `peers`, sorted, as the ones to be linked with. False when they are the same as before. */
  want(peers: readonly string[], nowMs: number): boolean {
    const before = new Set(this.#wanted)
    if (peers.length === before.size && peers.every((peer) => before.has(peer))) return false
    const wanted = new Set(peers)
    this.#wanted = peers
    for (const peer of this.#wantedSinceMs.keys()) if (!wanted.has(peer)) this.#wantedSinceMs.delete(peer)
    for (const peer of peers) if (!before.has(peer)) this.#wantedSinceMs.set(peer, nowMs)
    return true
  }

  linkUp(peer: string): void {
    const live = this.#live
    if (!this.isLive(peer)) this.#live = live.toSpliced(placeIn(live, peer), 0, peer)
    this.#up.add(peer)
    this.#left.delete(peer)
    this.#leaving.delete(peer)
    this.#wantedSinceMs.delete(peer)
  }

  linkDown(peer: string): void {
    this.#drop(peer)
    this.#up.delete(peer)
  }

  /** `peer` said that it will go. */
  announce(peer: string): void {
    this.#leaving.add(peer)
  }

  /** `peer` said goodbye. */
  leave(peer: string): void {
    this.#drop(peer)
    this.#left.add(peer)
  }

  #drop(peer: string): void {
    const live = this.#live
    if (this.isLive(peer)) this.#live = live.toSpliced(placeIn(live, peer), 1)
  }
}

/** Where `peer` stands, or would stand, in the sorted list `peers`. */
function placeIn(peers: readonly string[], peer: string): number {
  let low = 0
  let high = peers.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareText(peers[middle]!, peer) < 0) low = middle + 1
    else high = middle
  }
  return low
}
