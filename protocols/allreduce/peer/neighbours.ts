/**
 * The links of one peer, as its machine knows them.
 *
 *     wanted ──▶ expected ──LinkUp──▶ live ──LinkDown, or it said goodbye──▶ gone
 *                    └──────── linkMs without a link ────────────────────────▶ gone
 *                             live ──LinkSilent──▶ silent ──LinkHeard──▶ live
 *
 * A link that was asked for may be on its way, which a broken one is not: whoever sits at its other end is waited for,
 * and is not passed over yet. A live peer may be *leaving*: here for the rest of the round. A *silent* one is waited for by
 * nobody, yet told everything: should it be heard again it has missed nothing. With whom to be linked is decided in
 * `contacts.ts`, what peers say of themselves is kept by the rounds.
 */

import { silentMs } from '../../core/limits.ts'
import { compareText } from '../plan/electorate.ts'

export class Neighbours {
  readonly #linkMs: number
  readonly #up = new Set<string>()
  readonly #left = new Set<string>()
  readonly #leaving = new Set<string>()
  /** Silent peers, with the moment from which nothing came. */
  readonly #silent = new Map<string, number>()
  #wanted: readonly string[] = []
  /** Wanted peers whose link was not up since, with the moment from which it was wanted. */
  readonly #wantedSinceMs = new Map<string, number>()
  /** Both sorted, and other lists after each change: they are asked for at every event. */
  #live: readonly string[] = []
  #linked: readonly string[] = []

  /** `linkMs`: how long a link may take to come up. */
  constructor(linkMs: number) {
    this.#linkMs = linkMs
  }

  /** Peers to be linked with, sorted. */
  get wanted(): readonly string[] {
    return this.#wanted
  }

  /** Peers that are linked, did not say goodbye and are not silent, sorted. */
  get live(): readonly string[] {
    return this.#live
  }

  /** Live peers and silent ones, sorted. */
  get linked(): readonly string[] {
    return this.#linked
  }

  /** There is a link, whether or not the peer said goodbye over it. */
  isUp(peer: string): boolean {
    return this.#up.has(peer)
  }

  isLive(peer: string): boolean {
    return this.isLinked(peer) && !this.#silent.has(peer)
  }

  /** `peer` is live or silent: what is sent to it may arrive. */
  isLinked(peer: string): boolean {
    return this.#up.has(peer) && !this.#left.has(peer)
  }

  /** How long nothing has come from `peer`: 0 while it is live, Infinity when it is not linked. */
  quietMs(peer: string, nowMs: number): number {
    if (!this.isLinked(peer)) return Number.POSITIVE_INFINITY
    return nowMs - (this.#silent.get(peer) ?? nowMs)
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
    this.#up.add(peer)
    this.#left.delete(peer)
    this.#leaving.delete(peer)
    this.#silent.delete(peer)
    this.#wantedSinceMs.delete(peer)
    this.#list(peer)
  }

  linkDown(peer: string): void {
    this.#up.delete(peer)
    this.#left.delete(peer)
    this.#leaving.delete(peer)
    this.#silent.delete(peer)
    this.#list(peer)
  }

  /** Nothing comes from `peer` although its link is up. */
  linkSilent(peer: string, nowMs: number): void {
    if (this.#up.has(peer)) this.#silent.set(peer, nowMs - silentMs)
    this.#list(peer)
  }

  linkHeard(peer: string): void {
    this.#silent.delete(peer)
    this.#list(peer)
  }

  /** `peer` said that it will go. */
  announce(peer: string): void {
    this.#leaving.add(peer)
  }

  /** `peer` said goodbye. */
  leave(peer: string): void {
    this.#left.add(peer)
    this.#list(peer)
  }

  /** Brings both lists up to date about `peer`. */
  #list(peer: string): void {
    this.#live = listed(this.#live, peer, this.isLive(peer))
    this.#linked = listed(this.#linked, peer, this.isLinked(peer))
  }
}

/** `peers`, sorted, with or without `peer`: the same list if it is so already. */
function listed(peers: readonly string[], peer: string, isIn: boolean): readonly string[] {
  const place = placeIn(peers, peer)
  if ((peers[place] === peer) === isIn) return peers
  return isIn ? peers.toSpliced(place, 0, peer) : peers.toSpliced(place, 1)
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
