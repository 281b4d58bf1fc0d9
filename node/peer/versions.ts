/**
 * Tells which connected peers speak other versions of Starling's protocols than this program. Nothing else would:
 * streams that cannot be opened and topics that nobody else is on look like peers that have yet to come.
 *
 *     identify, at each connection ──▶ protocols ─┐
 *     gossip, at each connection ────▶ topics ────┴▶ compared ──▶ a mismatch, once for each peer and protocol
 *     identify, asked again ─────────▶ the protocol of a run, which a peer names only once it takes part in it
 *
 * That holds also for a peer that goes and comes, as one does that is dialled again and again. A peer that differs is
 * not cut off: a program may speak of jobs in one version and average in another.
 */

import type { GossipSub } from '@libp2p/gossipsub'
import type { Identify } from '@libp2p/identify'
import type { IdentifyResult, PeerId, Startable } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Clock } from '../../protocols/core/clock.ts'
import type { SwarmError } from '../../protocols/core/errors.ts'
import { type Discovery, helloTopic } from '../../protocols/discovery/index.ts'
import { jobsTopic } from '../../protocols/jobs/messages.ts'
import type { PeerComponents } from '../../protocols/wire/components.ts'
import { type Difference, differences, versionMismatch } from './protocol-versions.ts'

/**
 * How often peers of this peer's run that have named no averaging protocol are asked again; a model opens in a few
 * seconds.
 */
const askMs = 5_000

/** Peers asked at one time: the others' turn comes with the next look. */
const asksMax = 8

/** An answer takes two round trips. */
const answerMsMax = 5_000

/** Peers and protocols that one listener has been told of: of those told longest ago it may hear again. */
const toldMax = 4_096

/** What libp2p gives identify when a connection opens, and a second more: it has failed then. */
const identifyMsMax = 6_000

export type VersionComponents = Pick<PeerComponents, 'events' | 'connectionManager'> & {
  registrar: { getProtocols(): string[] }
  pubsub: GossipSub
  identify: Identify
  discovery: Pick<Discovery, 'peers'>
}

export interface VersionsInit {
  clock: Clock
  /** What to do where this program is the older one. Default: the sentence for whoever installed it. */
  updateHere?: string | undefined
}

export class Versions implements Startable {
  readonly #components: VersionComponents
  readonly #init: VersionsInit
  readonly #listeners = new Set<(peer: string, found: readonly Difference[]) => void>()
  /** Of connected peers, by protocol. */
  readonly #found = new Map<string, Map<string, Difference>>()
  /** Connected peers that identify has told of, and those of them that have named an averaging protocol. */
  readonly #heard = new Set<string>()
  readonly #averaging = new Set<string>()
  #cancelTimer = () => {}

  constructor(components: VersionComponents, init: VersionsInit) {
    this.#components = components
    this.#init = init
  }

  /** Called by libp2p before it listens. */
  start(): void {
    const { events, pubsub } = this.#components
    events.addEventListener('peer:identify', this.#onIdentify)
    events.addEventListener('peer:disconnect', this.#onDisconnect)
    pubsub.addEventListener('subscription-change', this.#onSubscription)
    this.#schedule()
  }

  /** Called by libp2p. */
  stop(): void {
    const { events, pubsub } = this.#components
    this.#cancelTimer()
    events.removeEventListener('peer:identify', this.#onIdentify)
    events.removeEventListener('peer:disconnect', this.#onDisconnect)
    pubsub.removeEventListener('subscription-change', this.#onSubscription)
    this.#listeners.clear()
  }

  /**
   * Calls `listener` for every peer that speaks other versions (VERSION_MISMATCH): those that are here, then whoever
   * comes.
   */
  follow(listener: (mismatch: SwarmError) => void): () => void {
    const told = new Set<string>()
    const tell = (peer: string, found: readonly Difference[]) => {
      const news = found.filter(({ protocol }) => !told.has(`${protocol} ${peer}`))
      if (news.length === 0) return
      for (const { protocol } of news) told.add(`${protocol} ${peer}`)
      for (const oldest of told) if (told.size > toldMax) told.delete(oldest)
      listener(this.#mismatch(peer, news))
    }
    for (const [peer, found] of this.#found) tell(peer, [...found.values()])
    this.#listeners.add(tell)
    return () => this.#listeners.delete(tell)
  }

  /** How a connected peer differs from this program, as far as it has said; undefined while it does not. */
  mismatchOf(peer: string): SwarmError | undefined {
    const found = this.#found.get(peer)
    return found === undefined ? undefined : this.#mismatch(peer, [...found.values()])
  }

  /**
   * Waits until the connected `peer` has said what it speaks; one that does not say is taken to speak the same.
   * @throws {SwarmError} VERSION_MISMATCH.
   * @throws {unknown} `signal.reason`.
   */
  async requireSame(peer: string, { signal }: { signal: AbortSignal }): Promise<void> {
    const { events } = this.#components
    const { promise, resolve } = Promise.withResolvers<void>()
    const onIdentify = ({ detail }: CustomEvent<IdentifyResult>) => {
      if (detail.peerId.toString() === peer) resolve()
    }
    const onAbort = () => resolve()
    const stopTimer = this.#init.clock.setTimer(identifyMsMax, resolve)
    events.addEventListener('peer:identify', onIdentify)
    signal.addEventListener('abort', onAbort, { once: true })
    if (!this.#heard.has(peer) && !signal.aborted) await promise
    stopTimer()
    events.removeEventListener('peer:identify', onIdentify)
    signal.removeEventListener('abort', onAbort)
    signal.throwIfAborted()
    const mismatch = this.mismatchOf(peer)
    if (mismatch !== undefined) throw mismatch
  }

  readonly #onIdentify = ({ detail }: CustomEvent<IdentifyResult>): void => {
    const peer = detail.peerId.toString()
    if (!this.#isConnected(peer)) return
    this.#heard.add(peer)
    if (detail.protocols.some(isAveraging)) this.#averaging.add(peer)
    this.#compare(peer, detail.protocols)
  }

  readonly #onSubscription = ({
    detail: { peerId, subscriptions },
  }: CustomEvent<{ peerId: PeerId; subscriptions: { topic: string; subscribe: boolean }[] }>): void => {
    const joined = subscriptions.filter(({ subscribe }) => subscribe).map(({ topic }) => topic)
    const shared = [helloTopic, jobsTopic].filter((topic) =>
      this.#components.pubsub.getSubscribers(topic).some((subscriber) => subscriber.equals(peerId)),
    )
    this.#compare(peerId.toString(), [...joined, ...shared])
  }

  readonly #onDisconnect = ({ detail }: CustomEvent<PeerId>): void => {
    for (const known of [this.#found, this.#heard, this.#averaging]) known.delete(detail.toString())
  }

  #compare(peer: string, ids: readonly string[]): void {
    const known = this.#found.get(peer)
    const news = differences(ids).filter(({ protocol }) => known?.has(protocol) !== true)
    if (news.length === 0 || !this.#isConnected(peer)) return
    const found = new Map([
      ...(known ?? []),
      ...news.map((difference) => [difference.protocol, difference] as const),
    ])
    this.#found.set(peer, found)
    for (const listener of [...this.#listeners]) listener(peer, news)
  }

  #isConnected(peer: string): boolean {
    return this.#components.connectionManager.getConnections(peerIdFromString(peer)).length > 0
  }

  #mismatch(peer: string, found: readonly Difference[]): SwarmError {
    const [connection] = this.#components.connectionManager.getConnections(peerIdFromString(peer))
    const at = connection === undefined ? '' : ` at ${connection.remoteAddr}`
    const updateHere = this.#init.updateHere ?? 'Update Starling here: this program is the older one.'
    return versionMismatch(found, { peer, who: `peer ${peer}${at}`, updateHere })
  }

  #schedule(): void {
    this.#cancelTimer = this.#init.clock.setTimer(askMs, () => {
      for (const peer of this.#unheard().slice(0, asksMax)) void this.#ask(peer)
      this.#schedule()
    })
  }

  /** Connected peers that say they work on the job of this peer's run, and have not said how they average. */
  #unheard(): string[] {
    const { registrar, discovery } = this.#components
    const runs = registrar.getProtocols().filter(isAveraging)
    if (runs.length === 0) return []
    return discovery
      .peers()
      .filter(({ job, isConnected }) => isConnected && runs.some((run) => run.endsWith(`/${job?.job}`)))
      .map(({ peer }) => peer)
      .filter((peer) => !this.#averaging.has(peer))
  }

  /** What the peer answers comes as an event. */
  async #ask(peer: string): Promise<void> {
    const { connectionManager, identify } = this.#components
    const [connection] = connectionManager.getConnections(peerIdFromString(peer))
    if (connection === undefined) return
    // one that does not answer is asked again with the next look
    await identify.identify(connection, { signal: AbortSignal.timeout(answerMsMax) }).catch(() => {})
  }
}

/** The libp2p service. The node needs those named `pubsub`, `identify` and `discovery`. */
export function versions(init: VersionsInit): (components: VersionComponents) => Versions {
  return (components) => new Versions(components, init)
}

function isAveraging(protocol: string): boolean {
  return protocol.startsWith('/starling/allreduce/')
}
