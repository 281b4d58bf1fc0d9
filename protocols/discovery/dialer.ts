/**
 * Whom to dial and when. Pure, like the machine beside it.
 *
 *     wanted ──Dial──▶ dialing ──Connected──▶ connected ──Disconnected──▶ wanted
 *       ▲                 │ DialFailed
 *       └───(backoff)─────┘
 *
 * libp2p does not dial by itself. Wanted are the bootstrap addresses, for ever, so that a restarted coordinator is
 * found again within seconds, and the peers that work on the same job; a peer found on the local network is tried a few
 * times. Of two such peers the one with the lesser id dials first and the other only if it does not come, so that there
 * is one connection, not two.
 */

import { unreachable } from '../core/assert.ts'
import type { Random } from '../core/random.ts'

/** Pause before the first redial, doubled at each failure. */
const redialMsMin = 250

/** Longest pause between redials. */
const redialMsMax = 5_000

/** How long the peer with the greater id lets the other come first: a dial takes four round trips. */
const letComeMs = 2_000

/** Dials at one time. libp2p allows 100; a tab on a phone is better off with few. */
export const dialsMax = 8

/** Contacts kept. A peer needs a row's links and a few long ones; the rest it reaches through gossip. */
export const contactsMax = 128

export interface Wanted {
  /** Names the contact: a bootstrap address, or a peer id. */
  key: string
  /** Who is behind it, when known. */
  peer: string | undefined
  addresses: readonly string[]
  /** The other side is expected to dial. */
  comesFirst: boolean
  /** It is forgotten after so many failures, or once it is connected. Default: kept until `Unwanted`. */
  attempts?: number
}

export type DialEvent =
  | (Wanted & { kind: 'Wanted'; now: number })
  | { kind: 'Unwanted'; now: number; key: string }
  | { kind: 'Connected'; now: number; peer: string }
  | { kind: 'Disconnected'; now: number; peer: string }
  /** `peer`: who answered. */
  | { kind: 'DialSucceeded'; now: number; key: string; peer: string }
  | { kind: 'DialFailed'; now: number; key: string }
  | { kind: 'Woke'; now: number }

export interface Dial {
  key: string
  addresses: readonly string[]
}

interface Contact extends Wanted {
  isDialing: boolean
  failures: number
  nextAt: number
}

export class Dialer {
  readonly #random: Random
  readonly #contacts = new Map<string, Contact>()
  readonly #connected = new Set<string>()

  constructor(random: Random) {
    this.#random = random
  }

  /** Takes one event; returns the dials to start now. Send `Woke` a few times a second. */
  step(event: DialEvent): Dial[] {
    this.#take(event)
    return this.#due(event.now)
  }

  #take(event: DialEvent): void {
    switch (event.kind) {
      case 'Wanted':
        this.#want(event)
        return
      case 'Unwanted':
        this.#contacts.delete(event.key)
        return
      case 'Connected':
        this.#onConnected(event.peer)
        return
      case 'Disconnected':
        this.#connected.delete(event.peer)
        this.#onLost(event.peer, event.now)
        return
      case 'DialSucceeded':
        this.#onSuccess(event.key, event.peer)
        return
      case 'DialFailed':
        this.#onFailure(event.key, event.now)
        return
      case 'Woke':
        return
      default:
        unreachable(event)
    }
  }

  #want({ kind: _, now, ...wanted }: DialEvent & { kind: 'Wanted' }): void {
    const { key, peer, comesFirst } = wanted
    const known = this.#contacts.get(key)
    if (known !== undefined) {
      Object.assign(known, { attempts: undefined, ...wanted, peer: peer ?? known.peer })
      return
    }
    if (this.#contacts.size >= contactsMax) return
    if (wanted.attempts !== undefined && peer !== undefined && this.#connected.has(peer)) return
    const nextAt = comesFirst ? now + letComeMs : now
    this.#contacts.set(key, { ...wanted, isDialing: false, failures: 0, nextAt })
  }

  #onSuccess(key: string, peer: string): void {
    const contact = this.#contacts.get(key)
    if (contact !== undefined) {
      contact.isDialing = false
      contact.failures = 0
      contact.peer = peer
    }
    this.#onConnected(peer)
  }

  /**
   * Those only found by chance have had their turn: in a large swarm they would take the places of the peers of the
   * job.
   */
  #onConnected(peer: string): void {
    this.#connected.add(peer)
    for (const contact of this.#contacts.values())
      if (contact.peer === peer && contact.attempts !== undefined) this.#contacts.delete(contact.key)
  }

  #onFailure(key: string, now: number): void {
    const contact = this.#contacts.get(key)
    if (contact === undefined) return
    contact.isDialing = false
    contact.nextAt = now + this.#pause(contact.failures)
    contact.failures = Math.min(contact.failures + 1, 16)
    if (contact.failures >= (contact.attempts ?? Number.POSITIVE_INFINITY)) this.#contacts.delete(key)
  }

  #onLost(peer: string, now: number): void {
    for (const contact of this.#contacts.values()) {
      if (contact.peer !== peer) continue
      contact.failures = 0
      contact.nextAt = Math.max(contact.nextAt, now + this.#pause(0))
    }
  }

  /** Spread by half to one and a half, so that the peers of a lost coordinator do not all come back in one moment. */
  #pause(failures: number): number {
    return Math.min(redialMsMax, redialMsMin * 2 ** failures) * (0.5 + this.#random.next())
  }

  #due(now: number): Dial[] {
    const contacts = [...this.#contacts.values()]
    let free = dialsMax - contacts.filter((contact) => contact.isDialing).length
    const dials: Dial[] = []
    for (const contact of contacts) {
      const isConnected = contact.peer !== undefined && this.#connected.has(contact.peer)
      if (free === 0) break
      if (isConnected || contact.isDialing || contact.nextAt > now || contact.addresses.length === 0) continue
      contact.isDialing = true
      free--
      dials.push({ key: contact.key, addresses: contact.addresses })
    }
    return dials
  }
}
