/**
 * The wanting side's streams: one to each peer that speaks the protocol, opened with the first want and kept.
 *
 *   connected, identified ─▶ joined ──send──▶ open ──broke, dropped──▶ left ──(backoff, still connected)──▶ joined
 *
 * libp2p's topology says who connects and disconnects. What the frames mean is the service's business.
 */

import type { PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Clock } from '../core/clock.ts'
import { SwarmError } from '../core/errors.ts'
import type { PeerComponents } from '../wire/components.ts'
import { FrameStream } from '../wire/stream.ts'
import { shardsProtocol } from './messages.ts'

/** First pause before a peer whose stream broke is asked again; doubled each time. */
const rejoinMsMin = 500

const rejoinMsMax = 15_000

/** Opening a stream on a connection that stands: negotiation takes one round trip. */
const openTimeoutMs = 10_000

/** How often peers that ought to be connected are looked at. */
const connectEveryMs = 1_000

export interface SessionEvents {
  onJoined(peer: string): void
  onLeft(peer: string): void
  /**
   * One frame from `peer`; while the promise is pending, its next frame waits. @throws {SwarmError} to drop the peer.
   */
  onFrame(peer: string, frame: Uint8Array): Promise<void>
}

interface Session {
  readonly id: PeerId
  stream: Promise<FrameStream> | undefined
  isJoined: boolean
  failures: number
  cancelRejoin: (() => void) | undefined
}

export class Sessions {
  readonly #components: PeerComponents
  readonly #clock: Clock
  readonly #events: SessionEvents
  readonly #sessions = new Map<string, Session>()
  readonly #stopping = new AbortController()
  #topology = ''

  constructor(components: PeerComponents, clock: Clock, events: SessionEvents) {
    this.#components = components
    this.#clock = clock
    this.#events = events
  }

  async start(): Promise<void> {
    this.#topology = await this.#components.registrar.register(shardsProtocol, {
      onConnect: (peer) => this.#onConnect(peer),
      onDisconnect: (peer) => this.#onDisconnect(peer.toString()),
    })
  }

  stop(): void {
    this.#components.registrar.unregister(this.#topology)
    this.#stopping.abort(new SwarmError('PEER_GONE', 'this peer stopped'))
    for (const peer of [...this.#sessions.keys()]) this.#onDisconnect(peer)
  }

  /**
   * Connects to those of `peers` that are not connected, now and every second; who answers joins, and a peer that
   * cannot be reached is tried again. @returns a function that ends it.
   */
  keepConnected(peers: () => readonly string[]): () => void {
    let cancel = (): void => {}
    let isOver = false
    const connect = async (): Promise<void> => {
      await this.#connect(peers())
      if (!isOver) cancel = this.#clock.setTimer(connectEveryMs, () => void connect())
    }
    void connect()
    return () => {
      isOver = true
      cancel()
    }
  }

  /** Sends one frame, opening the stream if needed. A failure is told by `onLeft`, not thrown. */
  async send(peer: string, frame: Uint8Array): Promise<void> {
    const session = this.#sessions.get(peer)
    if (session === undefined) return
    const stream = session.stream ?? this.#start(peer, session)
    try {
      await (await stream).send(frame)
      session.failures = 0
    } catch {
      this.#lose(peer, session, stream)
    }
  }

  /** Closes the stream to `peer`. */
  drop(peer: string, reason: Error): void {
    const session = this.#sessions.get(peer)
    if (session?.stream === undefined) return
    const { stream } = session
    stream.then((open) => open.abort(reason)).catch(() => {}) // a stream that did not open needs no closing
    this.#lose(peer, session, stream)
  }

  async #connect(peers: readonly string[]): Promise<void> {
    const { connectionManager, peerId } = this.#components
    const strangers = peers.filter((peer) => !this.#sessions.has(peer) && peer !== peerId.toString())
    // async, so that an id which is none fails its own dial and nothing else
    const dials = strangers.map(async (peer) => {
      const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(openTimeoutMs)])
      return connectionManager.openConnection(peerIdFromString(peer), { signal })
    })
    await Promise.allSettled(dials)
  }

  #onConnect(id: PeerId): void {
    const peer = id.toString()
    if (this.#sessions.has(peer)) return
    const session: Session = { id, stream: undefined, isJoined: true, failures: 0, cancelRejoin: undefined }
    this.#sessions.set(peer, session)
    this.#events.onJoined(peer)
  }

  #onDisconnect(peer: string): void {
    const session = this.#sessions.get(peer)
    if (session === undefined) return
    this.#sessions.delete(peer)
    session.cancelRejoin?.()
    const gone = new SwarmError('PEER_GONE', `peer ${peer} disconnected`, { peer })
    session.stream?.then((open) => open.abort(gone)).catch(() => {}) // told by onLeft
    if (session.isJoined) this.#events.onLeft(peer)
  }

  #start(peer: string, session: Session): Promise<FrameStream> {
    const stream = this.#open(peer, session.id)
    session.stream = stream
    stream.then(
      (open) => this.#read(peer, session, stream, open),
      () => this.#lose(peer, session, stream),
    )
    return stream
  }

  async #open(peer: string, id: PeerId): Promise<FrameStream> {
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(openTimeoutMs)])
    const stream = await this.#components.connectionManager.openStream(id, shardsProtocol, { signal })
    return new FrameStream(stream, { peer, clock: this.#clock })
  }

  async #read(
    peer: string,
    session: Session,
    stream: Promise<FrameStream>,
    open: FrameStream,
  ): Promise<void> {
    try {
      for await (const frame of open.frames) {
        if (session.stream !== stream) return
        await this.#events.onFrame(peer, frame)
      }
      open.close() // it will say no more; a stream closed on one side alone would stay
    } catch (error) {
      open.abort(error instanceof Error ? error : new Error(String(error)))
      if (!(error instanceof SwarmError)) throw error
    } finally {
      this.#lose(peer, session, stream)
    }
  }

  /** The stream is of no more use. The peer leaves, and rejoins after a pause as long as it stays connected. */
  #lose(peer: string, session: Session, stream: Promise<FrameStream>): void {
    if (session.stream !== stream || this.#sessions.get(peer) !== session) return
    session.stream = undefined
    session.isJoined = false
    this.#events.onLeft(peer)
    const delayMs = Math.min(rejoinMsMax, rejoinMsMin * 2 ** session.failures)
    session.failures = Math.min(session.failures + 1, 16)
    session.cancelRejoin = this.#clock.setTimer(delayMs, () => {
      if (this.#sessions.get(peer) !== session) return
      session.isJoined = true
      this.#events.onJoined(peer)
    })
  }
}
