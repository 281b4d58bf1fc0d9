/**
 * One persistent framed stream for each pair of peers that work together: the *links* of a protocol.
 *
 *            setPeers             stream open                    stream broke, or the peer closed it
 *   absent ───────────▶ waiting ───────────────▶ up ──────────────────────────────▶ waiting (backoff)
 *                          ▲    onUp                │ onDown, after the last frame that had arrived was delivered
 *   parked ── setPeers ────┘                        ▼
 *   (opened by a peer nobody asked for yet)      absent   (setPeers without the peer)
 *
 * Of a pair, the peer with the lesser id opens the stream and the other accepts, so there is exactly one and no race.
 * The opener dials if there is no connection yet, with the addresses of the peer store. A stream from a peer that is
 * not (yet) in `setPeers` is *parked*: kept, not read, so its frames wait under back-pressure and none is lost.
 *
 * Frames of a peer are delivered one at a time, in order; a handler that returns a promise holds the peer back. What
 * the frames mean is the caller's business, and so is resending: a link that breaks forgets what it had not yet sent. An
 * empty frame means nothing but that its sender is there (`pulse.ts`); it is not delivered.
 */

import type { Connection, Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Clock, systemClock } from '../core/clock.ts'
import { hasCode, SwarmError } from '../core/errors.ts'
import { parkedLinksMax } from '../core/limits.ts'
import { type Random, seededRandom, seedFrom } from '../core/random.ts'
import type { PeerComponents } from './components.ts'
import type { Frame } from './outbox.ts'
import { Pulse, tickMs } from './pulse.ts'
import { FrameStream } from './stream.ts'

/**
 * Pause before the first redial, doubled at each failure. On a local network a restarted peer is back in well under a
 * second.
 */
const redialMsMin = 200

/** Longest pause between redials: a peer that returns is linked again within five seconds. */
const redialMsMax = 5_000

/**
 * Longest pause while the peer is connected and only does not speak the protocol yet: it makes a job ready, and would
 * then wait for this link. An attempt costs one round trip and no dial.
 */
const reopenMsMax = 500

/** Opening a stream, dialing included: libp2p gives up a dial after 10 s, and the negotiation takes two round trips. */
const openTimeoutMs = 15_000

export interface LinksInit {
  /** Protocol id, `/starling/<name>/1`. */
  protocol: string
  /** One frame from `peer`, owned by the handler. While a returned promise is pending, the peer's next frame waits. */
  onMessage(peer: string, frame: Uint8Array): void | Promise<void>
  /** The link to `peer` can be used. Called before the peer's first frame. */
  onUp?(peer: string): void
  /** The link to `peer` is gone, `reason` says why. Called after its last frame. */
  onDown?(peer: string, reason: SwarmError): void
  /** Nothing has come from `peer` for `silentMs` although its link is up. What is sent to it waits, and may arrive. */
  onSilent?(peer: string): void
  /** Something came from `peer` again. Called before the frame. */
  onHeard?(peer: string): void
  clock?: Clock
  /** Spreads redials. Default: seeded from this peer's id, so that two peers do not redial in step. */
  random?: Random
}

export interface Traffic {
  bytesUp: number
  bytesDown: number
}

/** What is known of one wanted peer. */
interface Slot {
  readonly peer: string
  link: FrameStream | undefined
  pulse: Pulse | undefined
  isOpening: boolean
  failures: number
  cancelRedial: (() => void) | undefined
}

export class Links {
  readonly #components: PeerComponents
  readonly #init: LinksInit
  readonly #clock: Clock
  readonly #random: Random
  readonly #self: string
  readonly #slots = new Map<string, Slot>()
  readonly #parked = new Map<string, FrameStream>()
  /** Peers whose dropped link has not been told down yet: a new one waits, so that up and down come in turns. */
  readonly #dropped = new Set<string>()
  readonly #traffic = new Map<string, Traffic>()
  readonly #stopping = new AbortController()
  #stopTicking = () => {}

  constructor(components: PeerComponents, init: LinksInit) {
    this.#components = components
    this.#init = init
    this.#clock = init.clock ?? systemClock
    this.#self = components.peerId.toString()
    this.#random = init.random ?? seededRandom(seedFrom(this.#self, 'links'))
  }

  /** Starts to accept streams. @throws when another handler is registered for the protocol. */
  async start(): Promise<void> {
    const { registrar, events } = this.#components
    await registrar.handle(this.#init.protocol, this.#onStream)
    events.addEventListener('peer:connect', this.#onConnect)
    this.#tickLater()
  }

  /** Drops every link without telling `onDown`, and accepts no more. A stopped `Links` cannot be started again. */
  async stop(): Promise<void> {
    this.#stopping.abort(new SwarmError('PEER_GONE', 'this peer stopped', { peer: this.#self }))
    this.#stopTicking()
    this.#components.events.removeEventListener('peer:connect', this.#onConnect)
    for (const peer of [...this.#slots.keys()]) this.#remove(peer)
    for (const stream of this.#parked.values()) stream.abort(this.#stopping.signal.reason)
    this.#parked.clear()
    await this.#components.registrar.unhandle(this.#init.protocol)
  }

  /** The peers to be linked with, from now on. New ones are opened, others dropped (their `onDown` follows). */
  setPeers(peers: Iterable<string>): void {
    const wanted = new Set(peers)
    wanted.delete(this.#self)
    for (const peer of [...this.#slots.keys()]) if (!wanted.has(peer)) this.#remove(peer)
    for (const peer of wanted) if (!this.#slots.has(peer)) this.#add(peer)
  }

  /** True between `onUp` and `onDown` of `peer`. */
  isUp(peer: string): boolean {
    return this.#slots.get(peer)?.link !== undefined
  }

  /**
   * Resolves when the transport took `frame`; until then the frame must not change. Does not wait for a link to come
   * up.
   * @throws {SwarmError} PEER_GONE when there is no link or it breaks; LIMIT_EXCEEDED when the queue is full, and then
   * the link is dropped; MESSAGE_TOO_LARGE.
   */
  async send(peer: string, frame: Frame, options: { signal?: AbortSignal } = {}): Promise<void> {
    const link = this.#slots.get(peer)?.link
    if (link === undefined)
      throw new SwarmError('PEER_GONE', `no link to peer ${peer}`, { peer, retry: 'same-peer' })
    try {
      await link.send(frame, options)
    } catch (error) {
      if (hasCode(error, 'LIMIT_EXCEEDED')) link.abort(error)
      throw error
    }
  }

  /** Breaks the link with `peer`, if there is one: both ends begin anew, and know what the other may have missed. */
  breakOff(peer: string, reason: SwarmError): void {
    this.#slots.get(peer)?.link?.abort(reason)
  }

  /** Bytes of frames exchanged with each peer so far, over all its links. */
  traffic(): ReadonlyMap<string, Traffic> {
    const total = new Map([...this.#traffic].map(([peer, traffic]) => [peer, { ...traffic }]))
    for (const { peer, link } of this.#slots.values()) if (link !== undefined) addTraffic(total, peer, link)
    return total
  }

  readonly #onStream = (stream: Stream, connection: Connection): void => {
    const peer = connection.remotePeer.toString()
    const link = new FrameStream(stream, { peer, clock: this.#clock })
    if (this.#self < peer) {
      const message = `peer ${peer} opened a link that this peer has to open`
      link.abort(new SwarmError('PROTOCOL_VIOLATION', message, { peer }))
      return
    }
    const slot = this.#slots.get(peer)
    if (slot === undefined || this.#dropped.has(peer)) this.#park(link)
    else this.#replace(slot, link)
  }

  readonly #onConnect = (event: CustomEvent<{ toString(): string }>): void => {
    const slot = this.#slots.get(event.detail.toString())
    if (slot !== undefined) this.#open(slot)
  }

  #add(peer: string): void {
    const slot: Slot = {
      peer,
      link: undefined,
      pulse: undefined,
      isOpening: false,
      failures: 0,
      cancelRedial: undefined,
    }
    this.#slots.set(peer, slot)
    if (!this.#adoptParked(slot)) this.#open(slot)
  }

  /** Takes the link that `slot`'s peer has opened meanwhile; false when there is none. */
  #adoptParked(slot: Slot): boolean {
    const parked = this.#parked.get(slot.peer)
    if (parked === undefined || this.#dropped.has(slot.peer)) return false
    this.#parked.delete(slot.peer)
    this.#adopt(slot, parked)
    return true
  }

  #remove(peer: string): void {
    const slot = this.#slots.get(peer)
    if (slot === undefined) return
    slot.cancelRedial?.()
    this.#slots.delete(peer)
    if (slot.link === undefined) return
    this.#dropped.add(peer)
    slot.link.abort(new SwarmError('PEER_GONE', `peer ${peer} is not wanted any more`, { peer }))
  }

  #park(link: FrameStream): void {
    const { peer } = link
    this.#parked.get(peer)?.abort(replaced(peer))
    this.#parked.delete(peer) // so that the newest stands last
    this.#parked.set(peer, link)
    link.onClose(() => {
      if (this.#parked.get(peer) === link) this.#parked.delete(peer)
    })
    const [oldest] = this.#parked.values()
    if (this.#parked.size > parkedLinksMax && oldest !== undefined) {
      this.#parked.delete(oldest.peer)
      oldest.abort(new SwarmError('LIMIT_EXCEEDED', `more than ${parkedLinksMax} peers wait for a link`))
    }
  }

  /** The peer opened a new stream, so it has given up the old one, even if this side has not noticed yet. */
  #replace(slot: Slot, link: FrameStream): void {
    if (slot.link === undefined) {
      this.#adopt(slot, link)
      return
    }
    this.#park(link)
    slot.link.abort(replaced(slot.peer))
  }

  /** Opens the stream if that is this peer's part, unless one is there or on its way. */
  #open(slot: Slot): void {
    if (this.#self > slot.peer || slot.link !== undefined || slot.isOpening || this.#dropped.has(slot.peer))
      return
    slot.cancelRedial?.()
    slot.cancelRedial = undefined
    slot.isOpening = true
    this.#openStream(slot).then(
      (link) => {
        slot.isOpening = false
        if (this.#slots.get(slot.peer) === slot) this.#adopt(slot, link)
        else link.abort(new SwarmError('PEER_GONE', `peer ${slot.peer} is not wanted any more`))
      },
      () => {
        slot.isOpening = false
        this.#redialLater(slot)
      },
    )
  }

  async #openStream({ peer }: Slot): Promise<FrameStream> {
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(openTimeoutMs)])
    const { connectionManager } = this.#components
    const stream = await connectionManager.openStream(peerIdFromString(peer), this.#init.protocol, { signal })
    return new FrameStream(stream, { peer, clock: this.#clock })
  }

  #redialLater(slot: Slot): void {
    if (this.#slots.get(slot.peer) !== slot) return
    const isConnected =
      this.#components.connectionManager.getConnections(peerIdFromString(slot.peer)).length > 0
    const delayMsMax = isConnected ? reopenMsMax : redialMsMax
    const delayMs = Math.min(delayMsMax, redialMsMin * 2 ** slot.failures) * (0.5 + this.#random.next())
    slot.failures = Math.min(slot.failures + 1, 16)
    slot.cancelRedial?.()
    slot.cancelRedial = this.#clock.setTimer(delayMs, () => this.#open(slot))
  }

  #adopt(slot: Slot, link: FrameStream): void {
    slot.cancelRedial?.()
    slot.cancelRedial = undefined
    slot.link = link
    slot.failures = 0
    this.#init.onUp?.(slot.peer)
    slot.pulse = this.#pulseOf(link)
    this.#deliver(link, slot.pulse).then(
      (reason) => this.#onDown(slot, link, reason),
      (error: unknown) => {
        this.#onDown(slot, link, gone(slot.peer, error))
        if (!(error instanceof SwarmError)) throw error // a bug of the handler: nobody's to catch
      },
    )
  }

  #pulseOf(link: FrameStream): Pulse {
    const { peer } = link
    return new Pulse({
      activity: () => link.activity,
      say: () => {
        link.send(new Uint8Array()).catch(() => {}) // a link that breaks is reported where it is read
      },
      onSilent: () => this.#init.onSilent?.(peer),
      onHeard: () => this.#init.onHeard?.(peer),
    })
  }

  #tickLater(): void {
    this.#stopTicking = this.#clock.setTimer(tickMs, () => {
      this.#tickLater()
      for (const { pulse } of this.#slots.values()) pulse?.tick()
    })
  }

  /** Hands the frames of `link` on until there are no more; resolves with why. */
  async #deliver(link: FrameStream, pulse: Pulse): Promise<SwarmError> {
    const frames = link.frames[Symbol.asyncIterator]()
    while (true) {
      let next: IteratorResult<Uint8Array>
      try {
        next = await frames.next()
      } catch (error) {
        return error instanceof SwarmError ? error : gone(link.peer, error)
      }
      if (next.done === true) return gone(link.peer, undefined)
      pulse.hear()
      if (next.value.byteLength === 0) continue
      await this.#init.onMessage(link.peer, next.value)
    }
  }

  #onDown(slot: Slot, link: FrameStream, reason: SwarmError): void {
    addTraffic(this.#traffic, slot.peer, link)
    link.abort(reason)
    slot.link = undefined
    slot.pulse = undefined
    if (this.#stopping.signal.aborted) return
    this.#dropped.delete(slot.peer)
    this.#init.onDown?.(slot.peer, reason)
    const wanted = this.#slots.get(slot.peer)
    if (wanted === undefined || this.#adoptParked(wanted)) return
    if (wanted !== slot) this.#open(wanted)
    else if (this.#self < slot.peer) this.#redialLater(slot)
  }
}

function addTraffic(into: Map<string, Traffic>, peer: string, link: FrameStream): void {
  const { bytesUp, bytesDown } = link.traffic
  const sum = into.get(peer) ?? { bytesUp: 0, bytesDown: 0 }
  into.set(peer, { bytesUp: sum.bytesUp + bytesUp, bytesDown: sum.bytesDown + bytesDown })
}

function gone(peer: string, cause: unknown): SwarmError {
  return new SwarmError('PEER_GONE', `the link to peer ${peer} closed`, { peer, retry: 'same-peer', cause })
}

function replaced(peer: string): SwarmError {
  return new SwarmError('PEER_GONE', `peer ${peer} opened a newer link`, { peer, retry: 'same-peer' })
}
