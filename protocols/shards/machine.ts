/**
 * Decides whom to ask for which block. Pure: events in, effects out; no sockets, no hashing, no clock.
 *
 * States of a wanted block:
 *
 *               Ask                        valid BlockArrived
 *     unasked ───────▶ asked of 1 or 2 ──────────────────────▶ (Store, forgotten)
 *        ▲                  │
 *        └──────────────────┘  DontHave, PeerLeft, corrupt, silent; then the next peer is asked
 *        └──▶ (Fail)           nobody is left to ask, `patienceMs` after it was wanted, or `corruptGraceMs` after a
 *                              peer sent it corrupt
 *
 * States of a peer: free slots ──Ask──▶ `depth` blocks in flight ──answer──▶ free slots; *excluded* for good once it sent
 * a corrupt block, or a flood that was never asked of it; dropped (it may rejoin) when silent for `silentMs`.
 *
 * Several peers are asked at once, each for other blocks. A block is asked of a second peer only when nothing unasked
 * is left for that one and the first has kept it for `takeOverMs`: so a slow peer holds up nothing but its own blocks,
 * and at most `depth` blocks of each slow peer arrive twice. Which of the unasked blocks is next is drawn at random, so
 * that peers who fetch the same file at the same time soon hold different blocks and can serve each other.
 */

import { unreachable } from '../core/assert.ts'
import { wantCidsMax } from '../core/limits.ts'
import type { Random } from '../core/random.ts'
import { DrawBag } from './draw-bag.ts'

/** Blocks in flight at one peer. Four of 1 MiB fill a stream's window; more only makes a slow peer hold more. */
const depthDefault = 4

/**
 * A second peer is asked after this: on a 20 Mbit/s uplink four blocks take 1.7 s, so less would duplicate healthy
 * transfers.
 */
const takeOverMs = 2_000

/** A peer with requests open that says nothing for this long is dropped: 1 MiB takes it at 280 kbit/s. */
const silentMs = 30_000

/** What a peer did not have is asked of it again after this, in case its `have` was lost. */
const askAgainMs = 5_000

/** How long a block that arrived corrupt may wait for another peer that can be asked. */
const corruptGraceMs = 5_000

/** How often time is looked at while anything is wanted. */
const wakeMs = 500

/** Good blocks that a peer may send unasked: an answer given twice is a slip, a flood is not. */
const unaskedMax = 64

/** Excluded peers remembered. */
const excludedMax = 1_024

export type ShardEvent =
  /** `patienceMs`, by CID: a block that no peer has after this long is given up. The longest wish holds. */
  | { kind: 'Wanted'; now: number; patienceMs: ReadonlyMap<string, number> }
  /** Nobody waits for these any more. */
  | { kind: 'Unwanted'; now: number; cids: readonly string[] }
  | { kind: 'PeerJoined'; now: number; peer: string }
  | { kind: 'PeerLeft'; now: number; peer: string }
  /** `isValid`: the bytes hash to the CID. */
  | { kind: 'BlockArrived'; now: number; peer: string; cid: string; isValid: boolean }
  | { kind: 'DontHaveArrived'; now: number; peer: string; cid: string }
  | { kind: 'HaveArrived'; now: number; peer: string; cids: readonly string[] }
  /** Answers a `Wake`. */
  | { kind: 'Woke'; now: number }

export type ShardEffect =
  /** Send a want. At most `wantCidsMax` CIDs. */
  | { kind: 'Ask'; peer: string; cids: string[] }
  /** Keep the bytes of the `BlockArrived` that this answers. At most once for each CID wanted. */
  | { kind: 'Store'; peer: string; cid: string }
  /** The block cannot be had, nobody is left to ask; `liar` sent it corrupt. */
  | { kind: 'Fail'; cid: string; liar: string | undefined }
  /** Close the stream to `peer`. */
  | { kind: 'Drop'; peer: string; reason: DropReason }
  | { kind: 'Wake'; delayMs: number }

export type DropReason = 'sent a corrupt block' | 'sent blocks that nobody asked for' | 'was silent too long'

interface Wanted {
  /** Who was asked and has not answered, and when. */
  readonly askedOf: Map<string, number>
  corrupt: { peer: string; since: number } | undefined
  /** Clock time at which it is given up if nobody has it. */
  giveUpAt: number
}

interface Peer {
  readonly id: string
  /** Blocks asked and not yet answered, with the time; also ones that nobody wants any more. */
  readonly inFlight: Map<string, number>
  /** Wanted blocks that it did not have, with the time it said so. */
  readonly lacks: Map<string, number>
  lastHeard: number
  /** Good blocks that were not asked of it. */
  unasked: number
}

export class ShardMachine {
  readonly #depth: number
  readonly #random: Random
  readonly #wanted = new Map<string, Wanted>()
  /** Wanted blocks that nobody is asked for; drawn from at random. */
  readonly #unasked = new DrawBag()
  readonly #peers = new Map<string, Peer>()
  readonly #excluded = new Set<string>()
  /** Peers with free slots and nothing to ask of them; looked at again when that may have changed. */
  readonly #idle = new Set<string>()
  #isWakeDue = false

  /** `depth`: blocks in flight at one peer, 1 to `wantCidsMax`. */
  constructor(options: { random: Random; depth?: number }) {
    this.#random = options.random
    this.#depth = Math.min(options.depth ?? depthDefault, wantCidsMax)
  }

  /** Takes one event; the effects are to be carried out in order. */
  step(event: ShardEvent): ShardEffect[] {
    const effects: ShardEffect[] = []
    this.#take(event, effects)
    this.#assign(event.now, effects)
    if (this.#wanted.size > 0 && !this.#isWakeDue) {
      this.#isWakeDue = true
      effects.push({ kind: 'Wake', delayMs: wakeMs })
    }
    return effects
  }

  /** What it waits for, in words. Empty when nothing is wanted. */
  pending(): string {
    if (this.#wanted.size === 0) return ''
    const open = [...this.#peers.values()].reduce((sum, peer) => sum + peer.inFlight.size, 0)
    return `${this.#wanted.size} blocks wanted, ${open} requests open at ${this.#peers.size} peers, ${this.#excluded.size} peers excluded`
  }

  #take(event: ShardEvent, effects: ShardEffect[]): void {
    switch (event.kind) {
      case 'Wanted':
        for (const [cid, patienceMs] of event.patienceMs) this.#want(cid, event.now + patienceMs)
        return
      case 'Unwanted':
        for (const cid of event.cids) this.#forget(cid)
        return
      case 'PeerJoined':
        this.#join(event.peer, event.now)
        return
      case 'PeerLeft':
        this.#leave(event.peer)
        return
      case 'BlockArrived':
        this.#onBlock(event, effects)
        return
      case 'DontHaveArrived':
        this.#onDontHave(event)
        return
      case 'HaveArrived':
        for (const cid of event.cids) this.#peers.get(event.peer)?.lacks.delete(cid)
        this.#idle.delete(event.peer)
        return
      case 'Woke':
        this.#isWakeDue = false
        this.#idle.clear()
        this.#dropSilent(event.now, effects)
        this.#failHopeless(event.now, effects)
        return
      default:
        unreachable(event)
    }
  }

  #want(cid: string, giveUpAt: number): void {
    const known = this.#wanted.get(cid)
    if (known !== undefined) {
      known.giveUpAt = Math.max(known.giveUpAt, giveUpAt)
      return
    }
    this.#wanted.set(cid, { askedOf: new Map(), corrupt: undefined, giveUpAt })
    this.#unasked.add(cid)
    this.#idle.clear()
  }

  /** A request already sent stays in its peer's `inFlight`: its answer is expected, and then ignored. */
  #forget(cid: string): void {
    this.#wanted.delete(cid)
    this.#unasked.delete(cid)
    for (const peer of this.#peers.values()) peer.lacks.delete(cid)
  }

  #join(id: string, now: number): void {
    if (this.#excluded.has(id) || this.#peers.has(id)) return
    this.#peers.set(id, { id, inFlight: new Map(), lacks: new Map(), lastHeard: now, unasked: 0 })
  }

  #leave(id: string): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    this.#peers.delete(id)
    this.#idle.delete(id)
    for (const cid of peer.inFlight.keys()) this.#release(cid, id)
  }

  #onBlock(event: ShardEvent & { kind: 'BlockArrived' }, effects: ShardEffect[]): void {
    const { peer: id, cid, now } = event
    const peer = this.#peers.get(id)
    if (peer === undefined) return // its stream was dropped while this block was being hashed
    peer.lastHeard = now
    const wasAsked = peer.inFlight.delete(cid)
    const wanted = this.#wanted.get(cid)
    if (event.isValid && !wasAsked) {
      if (++peer.unasked > unaskedMax) this.#exclude(id, 'sent blocks that nobody asked for', effects)
    } else if (!event.isValid) {
      if (wanted !== undefined) wanted.corrupt ??= { peer: id, since: now }
      this.#release(cid, id)
      this.#exclude(id, 'sent a corrupt block', effects)
    } else if (wanted !== undefined) {
      // else another peer was faster
      this.#forget(cid)
      effects.push({ kind: 'Store', peer: id, cid })
    }
  }

  #onDontHave({ peer: id, cid, now }: ShardEvent & { kind: 'DontHaveArrived' }): void {
    const peer = this.#peers.get(id)
    if (!peer?.inFlight.delete(cid)) return
    peer.lastHeard = now
    if (this.#wanted.has(cid)) peer.lacks.set(cid, now)
    this.#release(cid, id)
  }

  /** `peer` is no longer asked for `cid`. */
  #release(cid: string, peer: string): void {
    const wanted = this.#wanted.get(cid)
    if (wanted === undefined) return
    wanted.askedOf.delete(peer)
    if (wanted.askedOf.size > 0) return
    this.#unasked.add(cid)
    this.#idle.clear()
  }

  #exclude(peer: string, reason: DropReason, effects: ShardEffect[]): void {
    this.#leave(peer)
    this.#excluded.add(peer)
    const [oldest] = this.#excluded
    if (this.#excluded.size > excludedMax) this.#excluded.delete(oldest!)
    effects.push({ kind: 'Drop', peer, reason })
  }

  #dropSilent(now: number, effects: ShardEffect[]): void {
    for (const peer of [...this.#peers.values()]) {
      const [oldest] = peer.inFlight.values()
      if (oldest === undefined || now - Math.max(oldest, peer.lastHeard) < silentMs) continue
      this.#leave(peer.id)
      effects.push({ kind: 'Drop', peer: peer.id, reason: 'was silent too long' })
    }
  }

  #failHopeless(now: number, effects: ShardEffect[]): void {
    for (const [cid, { corrupt, askedOf, giveUpAt }] of [...this.#wanted]) {
      const isCorrupt = corrupt !== undefined && now - corrupt.since >= corruptGraceMs
      if (askedOf.size > 0 || !(isCorrupt || now >= giveUpAt)) continue
      if ([...this.#peers.values()].some((peer) => !peer.lacks.has(cid))) continue
      this.#forget(cid)
      effects.push({ kind: 'Fail', cid, liar: corrupt?.peer })
    }
  }

  /** Fills the free slots of all peers, one block to each in turn, so that the work spreads. */
  #assign(now: number, effects: ShardEffect[]): void {
    if (this.#wanted.size === 0) return
    const asks = new Map<string, string[]>()
    let free = [...this.#peers.values()].filter((peer) => !this.#idle.has(peer.id))
    while (free.length > 0) {
      free = free.filter((peer) => {
        if (peer.inFlight.size >= this.#depth) return false
        const cid = this.#choose(peer, now)
        if (cid === undefined) {
          this.#idle.add(peer.id)
          return false
        }
        this.#ask(peer, cid, now)
        asks.set(peer.id, [...(asks.get(peer.id) ?? []), cid])
        return true
      })
    }
    for (const [peer, cids] of asks) effects.push({ kind: 'Ask', peer, cids })
  }

  #ask(peer: Peer, cid: string, now: number): void {
    peer.inFlight.set(cid, now)
    peer.lacks.delete(cid)
    this.#wanted.get(cid)!.askedOf.set(peer.id, now)
    this.#unasked.delete(cid)
  }

  #choose(peer: Peer, now: number): string | undefined {
    const mayHave = (cid: string): boolean =>
      now - (peer.lacks.get(cid) ?? Number.NEGATIVE_INFINITY) >= askAgainMs
    const isFree = (cid: string): boolean => mayHave(cid) && !peer.inFlight.has(cid)
    const unasked = this.#unasked.draw(this.#random, isFree)
    if (unasked !== undefined) return unasked
    for (const [cid, { askedOf }] of this.#wanted) {
      const [askedAt] = askedOf.values()
      if (askedOf.size === 1 && now - askedAt! >= takeOverMs && isFree(cid)) return cid
    }
    return undefined
  }
}
