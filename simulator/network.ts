/**
 * A network of simulated peers: any protocol whose peers talk over one ordered link for each pair runs on it.
 *
 *     start(id) ──▶ links to every other live peer come up ──▶ messages, in order, each after the link's delay
 *     reset, cut, partition ──▶ both ends see the link go down (not at the same moment); what was under way is lost
 *     mute ──▶ nothing arrives, and nobody is told (hearing.ts)
 *     crash(id) ──▶ the process is gone with its timers; the others see their links go down
 *
 * Links come back by themselves, as those of protocols/wire/link.ts do. Chance comes from one Random, time from one
 * VirtualClock. The network does not look into messages; `intercept` lets a fault do so.
 */

import { assert } from '../protocols/core/assert.ts'
import type { Clock } from '../protocols/core/clock.ts'
import type { Random } from '../protocols/core/random.ts'
import type { VirtualClock } from './clock.ts'
import { Hearing } from './hearing.ts'
import type { Host, Process } from './process.ts'

/** How links behave; a scenario draws it from its seed. */
export interface Conditions {
  /** One-way delay of each link is drawn once from this range. */
  delayMs: readonly [number, number]
  /** Added to each message, from 0 to this. */
  jitterMs: number
  /** Bytes per second of one direction of a link. */
  bytesPerSecond: number
  /** This share of the links is so many times slower. Default: none is. */
  slowLinks?: { share: number; factor: number }
  /** How long until an end notices a broken link, from 0 to this. */
  detectMs: number
  /** How long until a broken link is up again, from half of this to this. */
  reconnectMs: number
}

/**
 * Calls `deliver` when a message of `bytes` that `from` sends now is at `to`, in the order in which that pair's
 * messages were sent: for networks whose links share what their ends have.
 */
export type Carry = (from: string, to: string, bytes: number, deliver: () => void) => void

/** What `intercept` makes of a message. */
export type Verdict = 'pass' | 'duplicate' | 'reset'

interface End {
  isUp: boolean
  /** When the last message towards this end arrives: later ones cannot overtake it. */
  arrivalMs: number
  /** Undefined while it was never muted: large swarms have many links. */
  hearing: Hearing | undefined
}

interface Link {
  ends: Record<string, End>
  delayMs: number
  bytesPerSecond: number
  /** Counts connections: messages of an earlier one are lost. */
  epoch: number
  isConnected: boolean
  blockedUntilMs: number
}

interface Node<Message> {
  process: Process<Message> | undefined
  /** Counts lives: timers of an earlier one do not fire. */
  life: number
  /** Wanted peers; undefined: everybody. */
  wanted: ReadonlySet<string> | undefined
}

/** How a peer's clock differs from the simulation's: it shows `offsetMs + rate · now`. */
export interface Skew {
  offsetMs: number
  /** 1: right; 1.01 gains a hundredth. */
  rate: number
}

const rightClock: Skew = { offsetMs: 0, rate: 1 }

export class Network<Message> {
  readonly clock: VirtualClock
  readonly #random: Random
  readonly #conditions: Conditions
  readonly #shared: Carry | undefined
  readonly #skewOf: (id: string) => Skew
  readonly #nodes = new Map<string, Node<Message>>()
  /** Peer → other peer → their link, which stands in the maps of both. */
  readonly #links = new Map<string, Map<string, Link>>()
  /** Ids of the peers that run, sorted; made anew after a start or a crash, for scenarios ask at every event. */
  #live: readonly string[] | undefined
  #groups: readonly (readonly string[])[] | undefined
  /** Sees every message as it is sent, before it is under way, and decides its fate. */
  intercept: (from: string, to: string, message: Message) => Verdict = () => 'pass'

  constructor(init: {
    clock: VirtualClock
    random: Random
    conditions: Conditions
    /** Instead of each link's own delay and rate. */
    carry?: Carry
    /** Default: all clocks are right. */
    skewOf?: ((id: string) => Skew) | undefined
  }) {
    this.clock = init.clock
    this.#skewOf = init.skewOf ?? (() => rightClock)
    this.#random = init.random
    this.#conditions = init.conditions
    this.#shared = init.carry
  }

  /** Ids of the peers that run, sorted. */
  live(): readonly string[] {
    this.#live ??= [...this.#nodes]
      .filter(([, { process }]) => process !== undefined)
      .map(([id]) => id)
      .sort()
    return this.#live
  }

  isRunning(id: string): boolean {
    return this.#nodes.get(id)?.process !== undefined
  }

  /** True when both ends of a link are up. */
  isLinked(a: string, b: string): boolean {
    const { ends } = this.#link(a, b)
    return ends[a]!.isUp && ends[b]!.isUp
  }

  /** Starts a peer, or starts it again after a crash. */
  start(id: string, create: (host: Host<Message>) => Process<Message>): void {
    const node = this.#nodes.get(id) ?? { process: undefined, life: 0, wanted: undefined }
    assert(node.process === undefined, `peer ${id} runs already`)
    this.#nodes.set(id, node)
    node.life++
    node.wanted = undefined
    node.process = create(this.#host(id, node))
    this.#live = undefined
    for (const other of this.live())
      if (other !== id && this.#wants(id, other)) this.#connectLater(this.#link(id, other), id, other)
  }

  /** Ends a peer without a word. What it sent is still under way. */
  crash(id: string): void {
    const node = this.#nodes.get(id)
    if (node?.process === undefined) return
    node.process = undefined
    node.life++
    this.#live = undefined
    for (const other of this.live()) {
      const link = this.#links.get(id)?.get(other)
      if (link === undefined) continue
      link.ends[id]!.isUp = false
      link.ends[id]!.hearing?.lose()
      // A kernel delivers what it took over before it reports the end.
      const { arrivalMs, hearing } = link.ends[other]!
      const noticeMs = Math.max(arrivalMs - this.clock.now(), hearing?.deceivedMs ?? 0) + this.#detect()
      const { epoch } = link
      this.clock.setTimer(noticeMs, () => this.#lose(link, epoch, other, id))
      link.isConnected = false
    }
  }

  /** Breaks the link between two peers; it reconnects. */
  reset(a: string, b: string): void {
    this.#break(a, b)
    this.#connectLater(this.#link(a, b), a, b)
  }

  /** Breaks the link between two peers for `durationMs`. */
  cut(a: string, b: string, durationMs: number): void {
    this.#break(a, b)
    const link = this.#link(a, b)
    link.blockedUntilMs = this.clock.now() + durationMs
    this.clock.setTimer(durationMs, () => this.#connectLater(link, a, b))
  }

  /**
   * Nothing that `from` says reaches `to` for `durationMs`, and no end is told; then all of it does, unless the
   * connection was given up meanwhile. No new one comes up before.
   */
  mute(from: string, to: string, durationMs: number): void {
    const link = this.#link(from, to)
    const end = link.ends[to]!
    end.hearing ??= this.#hearingOf(link, to, from)
    if (!end.hearing.mute(durationMs, () => this.#connectLater(link, from, to))) return
    link.blockedUntilMs = Math.max(link.blockedUntilMs, this.clock.now() + durationMs)
  }

  /** Cuts `id` off from all others for `durationMs`, and tells nobody: a cable is pulled, a lid is closed. */
  silence(id: string, durationMs: number): void {
    for (const other of [...this.#nodes.keys()].sort()) {
      if (other === id) continue
      this.mute(id, other, durationMs)
      this.mute(other, id, durationMs)
    }
  }

  /** Splits the network: only peers of the same group keep their links. */
  partition(groups: readonly (readonly string[])[]): void {
    this.#groups = groups
    this.#forPairs((a, b) => {
      if (!this.#isReachable(a, b)) this.#break(a, b)
    })
  }

  /** Ends a partition: the links come back. */
  heal(): void {
    this.#groups = undefined
    this.#forPairs((a, b) => this.#connectLater(this.#link(a, b), a, b))
  }

  #host(id: string, node: Node<Message>): Host<Message> {
    const { life } = node
    const { offsetMs, rate } = this.#skewOf(id)
    const clock: Clock = {
      now: () => offsetMs + rate * this.clock.now(),
      setTimer: (delayMs, callback) =>
        this.clock.setTimer(delayMs / rate, () => {
          if (node.life === life) callback()
        }),
    }
    const send = (to: string, message: Message, bytes: number): void => {
      if (node.life === life) this.#send(id, to, message, bytes)
    }
    const setPeers = (peers: readonly string[]): void => {
      if (node.life === life) this.#setPeers(id, node, new Set(peers))
    }
    return { id, clock, send, setPeers }
  }

  /** Drops the links that are not wanted any more, and asks for the new ones. */
  #setPeers(id: string, node: Node<Message>, wanted: ReadonlySet<string>): void {
    const before = node.wanted
    node.wanted = wanted
    const touched = [...new Set([...(before ?? this.#linksOf(id).keys()), ...wanted])].sort()
    for (const other of touched) {
      if (other === id || !this.isRunning(other)) continue
      const was = before?.has(other) ?? true
      if (was && !wanted.has(other)) this.#break(id, other)
      else if (!was && wanted.has(other)) this.#connectLater(this.#link(id, other), id, other)
    }
  }

  #wants(id: string, other: string): boolean {
    return this.#nodes.get(id)?.wanted?.has(other) ?? true
  }

  #send(from: string, to: string, message: Message, bytes: number): void {
    if (!this.#nodes.has(to)) return
    const link = this.#link(from, to)
    if (!link.ends[from]!.isUp) return
    const verdict = this.intercept(from, to, message)
    if (!link.ends[from]!.isUp) return // the fault took this peer or this link down
    if (verdict === 'reset') {
      this.reset(from, to)
      return
    }
    for (let copies = verdict === 'duplicate' ? 2 : 1; copies > 0; copies--)
      this.#carry(link, from, to, message, bytes)
  }

  #carry(link: Link, from: string, to: string, message: Message, bytes: number): void {
    const end = link.ends[to]!
    const { epoch } = link
    const deliver = (): void => {
      if (link.epoch === epoch && end.isUp) this.#nodes.get(to)?.process?.receive(from, message)
    }
    const arrive = (): void => {
      if (end.hearing === undefined) deliver()
      else end.hearing.arrive(deliver)
    }
    if (this.#shared !== undefined) {
      this.#shared(from, to, bytes, arrive)
      return
    }
    const travelMs = link.delayMs + this.#random.next() * this.#conditions.jitterMs
    const sendMs = (bytes * 1000) / link.bytesPerSecond
    end.arrivalMs = Math.max(this.clock.now() + travelMs, end.arrivalMs) + sendMs
    this.clock.setTimer(end.arrivalMs - this.clock.now(), arrive)
  }

  #break(a: string, b: string): void {
    const link = this.#links.get(a)?.get(b)
    if (link === undefined || !link.isConnected) return
    link.isConnected = false
    const { epoch } = link
    link.epoch++ // what is under way is lost
    for (const [end, other] of [
      [a, b],
      [b, a],
    ] as const) {
      this.clock.setTimer(this.#detect(), () => this.#lose(link, epoch + 1, end, other))
    }
  }

  #lose(link: Link, epoch: number, end: string, other: string): void {
    if (link.epoch !== epoch || !link.ends[end]!.isUp) return
    link.ends[end]!.isUp = false
    link.ends[end]!.hearing?.lose()
    this.#nodes.get(end)?.process?.linkDown(other)
  }

  #connectLater(link: Link, a: string, b: string): void {
    const { reconnectMs } = this.#conditions
    this.clock.setTimer(reconnectMs * (0.5 + this.#random.next() / 2), () => this.#connect(link, a, b))
  }

  #connect(link: Link, a: string, b: string): void {
    if (link.isConnected || !this.#isPossible(link, a, b)) return
    // An end that had not noticed the loss learns of it now: the new connection proves the old one gone.
    this.#lose(link, link.epoch, a, b)
    this.#lose(link, link.epoch, b, a)
    if (!this.#isPossible(link, a, b)) return // what an end did about it may have brought a fault upon the other
    link.isConnected = true
    const epoch = ++link.epoch
    this.#rise(link, epoch, a, b)
    link.ends[b]!.arrivalMs = this.clock.now() + link.delayMs
    link.ends[a]!.arrivalMs = this.clock.now()
    this.clock.setTimer(link.delayMs, () => this.#rise(link, epoch, b, a))
  }

  #isPossible(link: Link, a: string, b: string): boolean {
    const isWanted = this.#wants(a, b) && this.#wants(b, a)
    const areHere = this.isRunning(a) && this.isRunning(b) && this.#isReachable(a, b)
    return isWanted && areHere && this.clock.now() >= link.blockedUntilMs
  }

  #rise(link: Link, epoch: number, end: string, other: string): void {
    const { process } = this.#nodes.get(end)!
    if (link.epoch !== epoch || process === undefined || link.ends[end]!.isUp) return
    link.ends[end]!.isUp = true
    process.linkUp(other)
  }

  #link(a: string, b: string): Link {
    const known = this.#links.get(a)?.get(b)
    if (known !== undefined) return known
    const [least, most] = this.#conditions.delayMs
    const delayMs = least + this.#random.next() * (most - least)
    const end = (): End => ({ isUp: false, arrivalMs: 0, hearing: undefined })
    const ends = { [a]: end(), [b]: end() }
    const bytesPerSecond = this.#drawRate()
    const link = { ends, delayMs, bytesPerSecond, epoch: 0, isConnected: false, blockedUntilMs: 0 }
    this.#linksOf(a).set(b, link)
    this.#linksOf(b).set(a, link)
    return link
  }

  /** What `id` hears over its link with `other`. */
  #hearingOf(link: Link, id: string, other: string): Hearing {
    return new Hearing({
      clock: this.clock,
      random: this.#random,
      isUp: () => link.ends[id]!.isUp,
      connection: () => link.epoch,
      onSilent: () => this.#nodes.get(id)?.process?.linkSilent?.(other),
      onHeard: () => this.#nodes.get(id)?.process?.linkHeard?.(other),
      onGivenUp: () => this.#break(other, id),
    })
  }

  #drawRate(): number {
    const { bytesPerSecond, slowLinks } = this.#conditions
    const isSlow = slowLinks !== undefined && this.#random.next() < slowLinks.share
    return isSlow ? bytesPerSecond / slowLinks.factor : bytesPerSecond
  }

  #linksOf(id: string): Map<string, Link> {
    const links = this.#links.get(id) ?? new Map<string, Link>()
    this.#links.set(id, links)
    return links
  }

  #isReachable(a: string, b: string): boolean {
    return this.#groups === undefined || this.#groups.some((group) => group.includes(a) && group.includes(b))
  }

  #forPairs(visit: (a: string, b: string) => void): void {
    const ids = [...this.#nodes.keys()].sort()
    ids.forEach((a, index) => {
      for (const b of ids.slice(index + 1)) visit(a, b)
    })
  }

  #detect(): number {
    return this.#random.next() * this.#conditions.detectMs
  }
}
