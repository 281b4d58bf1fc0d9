/**
 * Discovery over libp2p: gossips this peer's HELLO, keeps the table of live peers, and dials.
 *
 * A HELLO is wanted when something about this peer changes and when a new peer appears; when it goes out is
 * `hello-schedule.ts`'s matter.
 */

import type { GossipSub, Message } from '@libp2p/gossipsub'
import { TopicValidatorResult } from '@libp2p/gossipsub'
import type { Connection, PeerId, PeerInfo } from '@libp2p/interface'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { type Clock, systemClock } from '../core/clock.ts'
import { SwarmError } from '../core/errors.ts'
import { helloAddressesMax, helloExpiryMs, helloIntervalMs } from '../core/limits.ts'
import { type Random, seededRandom, seedFrom } from '../core/random.ts'
import type { PeerComponents } from '../wire/components.ts'
import { type Coordinates, Vivaldi } from './coordinates.ts'
import { type Dial, type DialEvent, Dialer } from './dialer.ts'
import { FirstAddresses, type FirstAddressNews } from './first-addresses.ts'
import { HelloSchedule } from './hello-schedule.ts'
import { type DiscoveryEffect, type DiscoveryEvent, type PeerRecord, PeerTable } from './machine.ts'
import {
  decodeHello,
  encodeHello,
  type Hello,
  helloKind,
  helloTopic,
  type SelfDescription,
} from './messages.ts'

/** A newcomer is greeted within this time, by each peer at a moment of its own. */
const greetingMsMax = 500

/** How often time is looked at. */
const wakeMs = 250

/** Between two looks at the round trips, which libp2p measures every few seconds on each connection. */
const measureMs = helloIntervalMs

/** Where a connected peer that said nothing of its place yet is taken to be: as unsure as one can be. */
const nowhere: Coordinates = { x: 0, y: 0, height: 0.1, error: 1 }

/** A dial and its handshakes: libp2p gives up an address after 6 s. */
const dialTimeoutMs = 12_000

/** Dials of a peer found on the local network: the announcement comes again if it stays. */
const foundAttempts = 3

export interface DiscoveryInit {
  self: SelfDescription
  /** Multiaddrs that are dialled, and redialled for ever: coordinators, friends. */
  bootstrap?: readonly string[]
  clock?: Clock
  /** Unix time in ms. Default: the wall clock. */
  unixMs?: () => number
  /** Spreads HELLOs and dials. Default: seeded from this peer's id. */
  random?: Random
}

export type DiscoveryComponents = PeerComponents & { pubsub: GossipSub }

export class Discovery {
  readonly #components: DiscoveryComponents
  readonly #bootstrap: FirstAddresses
  readonly #clock: Clock
  readonly #unixMs: () => number
  readonly #random: Random
  readonly #id: string
  readonly #table = new PeerTable()
  readonly #vivaldi: Vivaldi
  #measuredAt = Number.NEGATIVE_INFINITY
  readonly #dialer: Dialer
  readonly #schedule: HelloSchedule
  readonly #listeners = new Set<(event: DiscoveryEffect) => void>()
  readonly #stopping = new AbortController()
  #self: SelfDescription
  #sought: string | undefined
  #issued = 0
  #cancelWake: () => void = () => {}

  /** @throws {SwarmError} USAGE when a bootstrap address is none. */
  constructor(components: DiscoveryComponents, init: DiscoveryInit) {
    this.#components = components
    this.#self = init.self
    this.#bootstrap = new FirstAddresses(init.bootstrap ?? [])
    this.#clock = init.clock ?? systemClock
    this.#unixMs = init.unixMs ?? Date.now
    this.#id = components.peerId.toString()
    this.#random = init.random ?? seededRandom(seedFrom(this.#id, 'discovery'))
    this.#dialer = new Dialer(this.#random)
    this.#schedule = new HelloSchedule(this.#random)
    this.#vivaldi = new Vivaldi(seededRandom(seedFrom(this.#id, 'coordinates')))
  }

  /** Called by libp2p before it listens. */
  start(): void {
    const { events, pubsub } = this.#components
    pubsub.topicValidators.set(helloTopic, (_, message) => this.#validate(message))
    pubsub.addEventListener('message', this.#onMessage)
    pubsub.addEventListener('subscription-change', this.#onSubscription)
    events.addEventListener('peer:connect', this.#onConnect)
    events.addEventListener('peer:disconnect', this.#onDisconnect)
    events.addEventListener('peer:discovery', this.#onFound)
    events.addEventListener('self:peer:update', this.#onSelfUpdate)
  }

  /** Called by libp2p once it listens. */
  afterStart(): void {
    this.#components.pubsub.subscribe(helloTopic)
    const now = this.#clock.now()
    for (const address of this.#bootstrap.addresses) {
      const peer = /\/p2p\/([^/]+)$/.exec(address)?.[1]
      this.#dial({ kind: 'Wanted', now, key: address, peer, addresses: [address], comesFirst: false })
    }
    this.#saySoon(0)
    this.#wake()
  }

  /** Called by libp2p while connections still stand: says goodbye. */
  async beforeStop(): Promise<void> {
    if (this.#stopping.signal.aborted) return
    this.#stopping.abort(new SwarmError('PEER_GONE', 'this peer stopped'))
    this.#cancelWake()
    await this.#say(0)
  }

  /** Called by libp2p. */
  stop(): void {
    const { events, pubsub } = this.#components
    pubsub.topicValidators.delete(helloTopic)
    pubsub.removeEventListener('message', this.#onMessage)
    pubsub.removeEventListener('subscription-change', this.#onSubscription)
    events.removeEventListener('peer:connect', this.#onConnect)
    events.removeEventListener('peer:disconnect', this.#onDisconnect)
    events.removeEventListener('peer:discovery', this.#onFound)
    events.removeEventListener('self:peer:update', this.#onSelfUpdate)
    this.#listeners.clear()
    this.#bootstrap.stop()
  }

  /**
   * Where this peer is on the map of round trips, in whole milliseconds of one way; undefined while too few were
   * measured.
   */
  get place(): readonly [number, number] | undefined {
    return this.#vivaldi.place
  }

  /** The live peers that were heard of, this one not among them, in order of their ids. */
  peers(): PeerRecord[] {
    return this.#table.records()
  }

  /**
   * Changes what this peer says of itself, and says it as soon as `HelloSchedule` lets it. `job: undefined` leaves the
   * job.
   */
  setSelf(change: Partial<SelfDescription>): void {
    const previousJob = this.#self.job?.job
    this.#self = { ...this.#self, ...change }
    if (this.#self.job?.job !== previousJob) for (const record of this.peers()) this.#considerDialing(record)
    this.#saySoon(0)
  }

  /**
   * Peers that work on `job` are connected from now on, although this peer does not work on it yet: it makes it ready,
   * and will want them at once. `undefined`: no longer.
   */
  seek(job: string | undefined): void {
    this.#sought = job
    for (const record of this.peers()) this.#considerDialing(record)
  }

  /** Calls `listener` for every change of the table and every refused HELLO. Returns a function that takes it back. */
  on(listener: (event: DiscoveryEffect) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** {@link FirstAddresses.on} of the bootstrap addresses. */
  onFirstAddress(listener: (news: FirstAddressNews) => void): () => void {
    return this.#bootstrap.on(listener)
  }

  readonly #onMessage = ({ detail }: CustomEvent<Message>): void => {
    if (detail.topic !== helloTopic || detail.type !== 'signed') return
    const peer = detail.from.toString()
    if (peer === this.#id) return
    const hello = withKnownAddresses(decodeHello(detail.data)) // validated before it was delivered
    this.#step({ kind: 'HelloArrived', now: this.#clock.now(), unixMs: this.#unixMs(), peer, hello })
  }

  readonly #onSubscription = ({
    detail,
  }: CustomEvent<{ subscriptions: { topic: string; subscribe: boolean }[] }>): void => {
    if (detail.subscriptions.some(({ topic, subscribe }) => topic === helloTopic && subscribe))
      this.#saySoon(0)
  }

  readonly #onConnect = ({ detail }: CustomEvent<PeerId>): void => {
    const event = { kind: 'Connected', now: this.#clock.now(), peer: detail.toString() } as const
    this.#step(event)
    this.#dial(event)
  }

  readonly #onDisconnect = ({ detail }: CustomEvent<PeerId>): void => {
    const event = { kind: 'Disconnected', now: this.#clock.now(), peer: detail.toString() } as const
    this.#step(event)
    this.#dial(event)
  }

  /** Found on the local network (or met for the first time, which libp2p reports the same way). */
  readonly #onFound = ({ detail }: CustomEvent<PeerInfo>): void => {
    const peer = detail.id.toString()
    const addresses = detail.multiaddrs.map((address) => withPeer(address, peer)).slice(0, helloAddressesMax)
    const comesFirst = this.#id > peer
    const wanted = { key: `found ${peer}`, peer, addresses, comesFirst, attempts: foundAttempts }
    this.#dial({ kind: 'Wanted', now: this.#clock.now(), ...wanted })
  }

  readonly #onSelfUpdate = (): void => this.#saySoon(0)

  /** What no honest peer sends is not passed on, and counts against whoever passed it here. */
  #validate(message: Message): TopicValidatorResult {
    if (message.type !== 'signed') return TopicValidatorResult.Reject
    try {
      decodeHello(message.data)
      return TopicValidatorResult.Accept
    } catch (error) {
      if (error instanceof SwarmError) return TopicValidatorResult.Reject
      throw error
    }
  }

  #step(event: DiscoveryEvent): void {
    for (const effect of this.#table.step(event)) {
      if (effect.kind === 'PeerAppeared') this.#saySoon(this.#random.next() * greetingMsMax)
      if (effect.kind === 'PeerAppeared' || effect.kind === 'PeerChanged')
        this.#considerDialing(effect.record)
      if (effect.kind === 'PeerGone') this.#dial({ kind: 'Unwanted', now: event.now, key: effect.peer })
      for (const listener of this.#listeners) listener(effect)
    }
  }

  /** Peers of the same job are to be connected; others are left alone (not cut off: a connection may serve gossip). */
  #considerDialing({ peer, role, job, addresses }: PeerRecord): void {
    const now = this.#clock.now()
    // A tab reaches most peers directly, and they reach it over a relay only.
    const isTab = this.#self.role === 'tab'
    const comesFirst = isTab === (role === 'tab') ? this.#id > peer : !isTab
    const isWanted = job !== undefined && (job.job === this.#self.job?.job || job.job === this.#sought)
    if (isWanted) this.#dial({ kind: 'Wanted', now, key: peer, peer, addresses, comesFirst })
    else this.#dial({ kind: 'Unwanted', now, key: peer })
  }

  #dial(event: DialEvent): void {
    if (this.#stopping.signal.aborted) return
    for (const dial of this.#dialer.step(event)) void this.#open(dial)
  }

  async #open({ key, addresses }: Dial): Promise<void> {
    const connection = await this.#connect(key, addresses)
    const now = this.#clock.now()
    // one that is closed by now was lost before this was told: nobody would tell of it again
    if (connection?.status !== 'open') this.#dial({ kind: 'DialFailed', now, key })
    else this.#dial({ kind: 'DialSucceeded', now, key, peer: connection.remotePeer.toString() })
  }

  /** Undefined when it fails, whatever the reason: it is tried again. */
  async #connect(key: string, addresses: readonly string[]): Promise<Connection | undefined> {
    try {
      const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(dialTimeoutMs)])
      const targets = addresses.map((address) => multiaddr(address))
      const connection = await this.#components.connectionManager.openConnection(targets, { signal })
      this.#bootstrap.reached(key)
      return connection
    } catch (cause) {
      if (!this.#stopping.signal.aborted) this.#bootstrap.missed(key, cause)
      return undefined
    }
  }

  #wake(): void {
    const now = this.#clock.now()
    this.#step({ kind: 'Woke', now })
    this.#dial({ kind: 'Woke', now })
    if (now >= this.#measuredAt + measureMs) this.#measure(now)
    if (this.#schedule.isDue(now)) void this.#say(helloExpiryMs)
    this.#cancelWake = this.#clock.setTimer(wakeMs, () => this.#wake())
  }

  /** Peers of other programs, which say no HELLO, have no place. */
  #measure(now: number): void {
    this.#measuredAt = now
    const heard = new Set(this.peers().map(({ peer }) => peer))
    for (const { remotePeer, rtt } of this.#components.connectionManager.getConnections()) {
      const peer = remotePeer.toString()
      if (rtt === undefined || !heard.has(peer)) continue
      this.#vivaldi.observe(rtt, this.#table.coordinatesOf(peer) ?? nowhere)
    }
  }

  /** A HELLO goes out in `delayMs`, or as soon after the last one as is allowed. */
  #saySoon(delayMs: number): void {
    this.#schedule.hasten(delayMs, { now: this.#clock.now(), peers: this.#table.size })
  }

  /** `lifeMs` 0 is a goodbye. */
  async #say(lifeMs: number): Promise<void> {
    this.#schedule.said(this.#clock.now())
    this.#issued = Math.max(this.#issued + 1, this.#unixMs())
    const addresses = this.#components.addressManager
      .getAddresses()
      .map((address) => withPeer(address, this.#id))
    const hello: Hello = {
      ...this.#self,
      kind: helloKind,
      issued: this.#issued,
      expires: this.#issued + lifeMs,
      addresses: addresses.slice(0, helloAddressesMax),
      coordinates: this.#vivaldi.coordinates,
    }
    // A HELLO that cannot go out is no failure: the next one follows within the interval.
    await this.#components.pubsub.publish(helloTopic, encodeHello(hello)).catch(() => {})
  }
}

/**
 * Without addresses of kinds that this program does not know, which cannot be dialled and would keep the others from
 * it.
 */
function withKnownAddresses(hello: Hello): Hello {
  const isKnown = (address: string): boolean => {
    try {
      return multiaddr(address) !== undefined
    } catch {
      return false
    }
  }
  return { ...hello, addresses: hello.addresses.filter(isKnown) }
}

function withPeer(address: Multiaddr, peer: string): string {
  const text = address.toString()
  return text.endsWith(`/p2p/${peer}`) ? text : `${text}/p2p/${peer}`
}
