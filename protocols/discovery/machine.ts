/**
 * The table of live peers. Pure: HELLOs, connections and time in; what changed out.
 *
 *                 HELLO                    newer HELLO
 *      unknown ───────────▶ known ────────────────────▶ known        (PeerAppeared, PeerChanged)
 *                             │  expired, goodbye, or silent for `lostGraceMs` after its connection broke
 *                             ▼
 *                          unknown                                   (PeerGone)
 *
 * Records are ordered by the sender's `issued`, and their life is counted from when they arrive, so clocks need not
 * agree; they must only be within `helloClockSkewMsMax`, or an old record could be played back. Whom to dial is
 * `dialer.ts`'s matter.
 */

import { unreachable } from '../core/assert.ts'
import { helloClockSkewMsMax, helloIntervalMs, knownPeersMax } from '../core/limits.ts'
import type { Coordinates } from './coordinates.ts'
import type { Hello, SelfDescription } from './messages.ts'

/**
 * A peer whose connection broke and that is not heard of by way of others for this long is gone: one HELLO and a
 * quarter.
 */
const lostGraceMs = 1.25 * helloIntervalMs

/** What is known of a live peer. */
export interface PeerRecord extends SelfDescription {
  peer: string
  /** Multiaddrs, each ending in the peer's id. */
  addresses: readonly string[]
  /** Where it says it is; absent before it has measured anything. */
  coordinates?: Coordinates | undefined
  /** Whether this peer has a connection to it. */
  isConnected: boolean
}

export type DiscoveryEvent =
  /** `now`: ms of the clock; `unixMs`: the wall clock, to tell stale records. */
  | { kind: 'HelloArrived'; now: number; unixMs: number; peer: string; hello: Hello }
  | { kind: 'Connected'; now: number; peer: string }
  | { kind: 'Disconnected'; now: number; peer: string }
  | { kind: 'Woke'; now: number }

export type DiscoveryEffect =
  | { kind: 'PeerAppeared'; record: PeerRecord }
  | { kind: 'PeerChanged'; record: PeerRecord }
  | { kind: 'PeerGone'; peer: string; reason: 'expired' | 'left' | 'connection lost' }
  | { kind: 'Refused'; peer: string; reason: RefusalReason }

export type RefusalReason =
  | 'its clock is ahead'
  | 'it is too old'
  | 'an address names another peer'
  | 'the table is full'

interface Entry {
  record: PeerRecord
  issued: number
  /** When its newest HELLO no longer holds. */
  expiresAt: number
  /** When its connection broke; undefined once it is back, or a HELLO came by way of others. */
  lostAt: number | undefined
}

export class PeerTable {
  readonly #peers = new Map<string, Entry>()
  readonly #connected = new Set<string>()
  /**
   * `issued` of the last goodbye of each peer, oldest first: an older HELLO that arrives late must not bring it back.
   */
  readonly #goodbyes = new Map<string, { issued: number; at: number }>()

  /** Takes one event; the effects are in order. Send `Woke` about once a second. */
  step(event: DiscoveryEvent): DiscoveryEffect[] {
    switch (event.kind) {
      case 'HelloArrived':
        return this.#onHello(event)
      case 'Connected':
        this.#connected.add(event.peer)
        return this.#onConnection(event.peer, true, event.now)
      case 'Disconnected':
        this.#connected.delete(event.peer)
        return this.#onConnection(event.peer, false, event.now)
      case 'Woke':
        return this.#expire(event.now)
      default:
        return unreachable(event)
    }
  }

  /** How many live peers there are. */
  get size(): number {
    return this.#peers.size
  }

  /** The live peers, in order of their ids. */
  records(): PeerRecord[] {
    const records = [...this.#peers.values()].map((entry) => entry.record)
    return records.sort((a, b) => (a.peer < b.peer ? -1 : 1))
  }

  /** Where `peer` said it is. */
  coordinatesOf(peer: string): Coordinates | undefined {
    return this.#peers.get(peer)?.record.coordinates
  }

  #onHello({ peer, hello, now, unixMs }: DiscoveryEvent & { kind: 'HelloArrived' }): DiscoveryEffect[] {
    const known = this.#peers.get(peer)
    const newest = Math.max(known?.issued ?? 0, this.#goodbyes.get(peer)?.issued ?? 0)
    if (hello.issued <= newest) return [] // gossip may bring an older one later
    const refusal = this.#refusal(peer, hello, unixMs)
    if (refusal !== undefined) return [{ kind: 'Refused', peer, reason: refusal }]
    if (hello.expires === hello.issued) {
      this.#noteGoodbye(peer, hello.issued, now)
      return this.#remove(peer, 'left')
    }
    const record = this.#recordOf(peer, hello)
    const expiresAt = now + (hello.expires - hello.issued)
    this.#peers.set(peer, { record, issued: hello.issued, expiresAt, lostAt: undefined })
    return [{ kind: known === undefined ? 'PeerAppeared' : 'PeerChanged', record }]
  }

  #refusal(peer: string, hello: Hello, unixMs: number): RefusalReason | undefined {
    if (hello.issued > unixMs + helloClockSkewMsMax) return 'its clock is ahead'
    if (hello.issued < unixMs - helloClockSkewMsMax) return 'it is too old'
    if (hello.addresses.some((address) => !address.endsWith(`/p2p/${peer}`)))
      return 'an address names another peer'
    if (!this.#peers.has(peer) && this.#peers.size >= knownPeersMax) return 'the table is full'
    return undefined
  }

  /**
   * Also of a peer that was not known: its HELLO may be the one that is late. As many as there are peers, since names
   * cost nothing.
   */
  #noteGoodbye(peer: string, issued: number, now: number): void {
    this.#goodbyes.delete(peer)
    this.#goodbyes.set(peer, { issued, at: now })
    const [oldest] = this.#goodbyes.keys()
    if (this.#goodbyes.size > knownPeersMax) this.#goodbyes.delete(oldest!)
  }

  #recordOf(peer: string, hello: Hello): PeerRecord {
    const { role, backend, threads, clientOnly, job, addresses, coordinates } = hello
    const isConnected = this.#connected.has(peer)
    return { peer, role, backend, threads, clientOnly, job, addresses, coordinates, isConnected }
  }

  #onConnection(peer: string, isConnected: boolean, now: number): DiscoveryEffect[] {
    const entry = this.#peers.get(peer)
    if (entry === undefined) return []
    entry.record = { ...entry.record, isConnected }
    entry.lostAt = isConnected ? undefined : now
    return [{ kind: 'PeerChanged', record: entry.record }]
  }

  #expire(now: number): DiscoveryEffect[] {
    for (const [peer, { at }] of this.#goodbyes)
      if (now - at > helloClockSkewMsMax) this.#goodbyes.delete(peer)
    return [...this.#peers].flatMap(([peer, { expiresAt, lostAt }]) => {
      if (lostAt !== undefined && now >= lostAt + lostGraceMs) return this.#remove(peer, 'connection lost')
      return now >= expiresAt ? this.#remove(peer, 'expired') : []
    })
  }

  #remove(peer: string, reason: 'expired' | 'left' | 'connection lost'): DiscoveryEffect[] {
    return this.#peers.delete(peer) ? [{ kind: 'PeerGone', peer, reason }] : []
  }
}
