/**
 * The real protocol machines of many peers on home links: every message is encoded, travels and is decoded, votes and
 * all, and every commit is checked. Only the vectors are small: a part is two numbers that stand for 65,536, and its
 * frames cost what those would.
 *
 *     genesis: everyone holds state 1, a grid ──▶ train, average, and again ──▶ until all that live have the last round
 *     a peer that leaves dies without a word ──▶ a newcomer moves in, fetches the state, receives, then gives
 *
 * How a run is founded, and all faults but death, are the business of allreduce-swarm.ts.
 */

import type { RoundBase } from '../../protocols/allreduce/plan/base.ts'
import { type Partition, partCount, partitionOf } from '../../protocols/allreduce/plan/parts.ts'
import type { CommittedRound } from '../../protocols/allreduce/round/events.ts'
import { isData, type Message } from '../../protocols/allreduce/round/vocabulary.ts'
import { type Random, seededRandom, seedFrom } from '../../protocols/core/random.ts'
import { codecFor } from '../../protocols/wire/codecs/index.ts'
import { AllreduceChecker } from '../allreduce-checker.ts'
import { AllreducePeer } from '../allreduce-peer.ts'
import { peerNames } from '../averaging/planned-round.ts'
import { VirtualClock } from '../clock.ts'
import { Network } from '../network.ts'
import { SharedWire } from '../shared-wire.ts'
import type { Model, SimulatedRun } from '../simulated-run.ts'
import { AccessLinks } from './access-links.ts'
import { reachOf, seatsOf } from './seats.ts'
import { drawHome, drawStayMs, type Home } from './world.ts'

/** What the sketches stand for, and about how long a round trains. */
export const machineWorkload = { parameters: 4_194_304, codec: 'int8', trainingMs: 60_000 } as const

/** Two numbers for a part, so that sums in a wrong order show. */
const sketchElements = 2

/** The first state that a grid can start from: round 0 founds one row. */
const firstRound = 1

/** A dead peer's neighbours notice within this: nobody closed its connections, keep-alives must fail. */
const detectMs = 10_000

/** Between two rounds of gossip about who is here. */
const gossipMs = 12_000

/** A home that was left stands empty for at most so long. */
const emptyMs = 60_000

/** Virtual time in which a round must end. */
const roundMsMax = 3_600_000

export interface MachineSetting {
  /** More than a row's. */
  peers: number
  /** Share of the peers that leave within an hour, in [0, 1). */
  churn: number
  seed: number
}

/** A peer's commit. */
export interface Ending {
  round: number
  /** Milliseconds since the last update that is in it was ready. */
  tookMs: number
  /** Links that the peer had at that moment. */
  links: number
}

export class MachineSwarm {
  readonly clock = new VirtualClock()
  /** The rounds, by the first peer that committed each. */
  readonly outcomes: CommittedRound[] = []
  readonly endings: Ending[] = []
  deaths = 0
  readonly #setting: MachineSetting
  readonly #random: Random
  readonly #homes = new Map<string, Home>()
  readonly #peers = new Map<string, AllreducePeer>()
  readonly #access: AccessLinks
  readonly #network: Network<Uint8Array>
  readonly #run: SimulatedRun
  /** Commit → when its update was ready. */
  readonly #givenMs = new Map<string, number>()
  /** Round → when the last of its updates was. */
  readonly #readyMs = new Map<number, number>()
  #arrivals = 0
  #isGossipDue = false

  constructor(setting: MachineSetting) {
    const { peers, seed } = setting
    this.#setting = setting
    this.#random = seededRandom(seedFrom(seed, 'machines', peers))
    this.#access = new AccessLinks(this.#homes, this.clock)
    this.#network = new Network({
      clock: this.clock,
      random: seededRandom(seedFrom(seed, 'network', peers)),
      conditions: { delayMs: [50, 50], jitterMs: 0, bytesPerSecond: 1, detectMs, reconnectMs: 1_000 },
      carry: (from, to, bytes, deliver) => this.#access.carry(from, to, bytes, deliver),
    })
    this.#run = this.#describe()
    for (const name of peerNames(peers)) this.#homes.set(name, drawHome(this.#random))
    const base: RoundBase = {
      round: firstRound,
      root: 'genesis',
      electorate: seatsOf(this.#homes, 'genesis'),
    }
    const known = [...this.#homes.keys()]
    for (const name of known) this.#moveIn(name, known, base)
  }

  /**
   * Runs until all that live have committed `rounds` rounds. @throws {Error} when that takes an hour a round, with who
   * waits for what.
   */
  run(rounds: number): void {
    const untilMs = rounds * roundMsMax
    const target = firstRound + rounds
    const isBehind = ({ base }: AllreducePeer): boolean => base !== undefined && base.round < target
    // Who is here is looked through only when a round could be over: a commit is one event of ten thousand.
    let seen = -1
    for (;;) {
      if (this.outcomes.length >= rounds && this.endings.length !== seen) {
        seen = this.endings.length
        if (!this.#living().some(isBehind)) return
      }
      if (this.clock.runNext(untilMs)) continue
      const waiting = this.#living().filter(isBehind)
      const words = waiting.slice(0, 5).map((peer) => `${peer.id}: ${peer.pending()}`)
      throw new Error(`${waiting.length} peers did not end round ${target - 1}: ${words.join('; ')}`)
    }
  }

  /** Bytes that all peers together have sent. */
  get sentBytes(): number {
    return [...this.#homes.keys()].reduce((sum, peer) => sum + this.#access.sentBytes(peer), 0)
  }

  #living(): AllreducePeer[] {
    return this.#network.live().map((id) => this.#peers.get(id)!)
  }

  #moveIn(name: string, known: readonly string[], base?: RoundBase): void {
    this.#network.start(name, (host) => {
      const peer = new AllreducePeer(host, this.#run, { life: 1, base, known })
      this.#peers.set(name, peer)
      return peer
    })
    const stayMs = drawStayMs(this.#setting.churn, this.#random)
    if (stayMs < Number.POSITIVE_INFINITY) this.clock.setTimer(stayMs, () => this.#moveOut(name))
  }

  #moveOut(name: string): void {
    this.#network.crash(name)
    this.#access.forget(name)
    this.deaths++
    this.clock.setTimer(emptyMs * this.#random.next(), () => {
      const newcomer = `newcomer-${String(this.#arrivals++).padStart(5, '0')}`
      this.#homes.set(newcomer, drawHome(this.#random))
      this.#moveIn(newcomer, [...this.#network.live()])
      this.#gossip()
    })
  }

  /** Everybody hears of the newcomers since the last time. */
  #gossip(): void {
    if (this.#isGossipDue) return
    this.#isGossipDue = true
    this.clock.setTimer(gossipMs, () => {
      this.#isGossipDue = false
      const here = [...this.#network.live()]
      for (const peer of this.#living()) peer.know(here)
    })
  }

  #describe(): SimulatedRun {
    const { seed } = this.#setting
    const codec = codecFor(machineWorkload.codec)
    const parts = partCount(partitionOf(machineWorkload.parameters))
    const partition: Partition = { elements: parts * sketchElements, partElements: sketchElements }
    return {
      seed,
      partition,
      codec,
      peersMin: 1,
      model: this.#model(),
      checker: new AllreduceChecker({ codec, partition }),
      electorates: new Map(),
      wire: new SharedWire({ codec, partition }),
      trainingMs: (_id, random) => machineWorkload.trainingMs * (0.9 + 0.2 * random.next()),
      onGiven: ({ commit }) => this.#givenMs.set(commit, this.clock.now()),
      onCommitted: (outcome, peer) => this.#note(outcome, peer),
      // A state comes from anyone who has it, over links of its own (protocols/shards).
      states: (id) =>
        this.#living().flatMap((peer) =>
          peer.base === undefined || peer.id === id ? [] : [{ peer: peer.id, base: peer.base }],
        ),
    }
  }

  #model(): Model {
    const codec = codecFor(machineWorkload.codec)
    const { partElements } = partitionOf(machineWorkload.parameters)
    const scale = partElements / sketchElements
    const partBytes = codec.encodedBytes(partElements)
    const frameBytes = (message: Message, frame: Uint8Array): number => {
      if (!isData(message)) return frame.length
      return frame.length - message.bytes.length + (message.kind === 'Sum' ? 4 * partElements : partBytes)
    }
    return {
      encodedBytes: (elements) => codec.encodedBytes(elements * scale),
      frameBytes,
      reach: (id) => reachOf(this.#homes.get(id)!),
      firstRound,
    }
  }

  #note(outcome: CommittedRound, peer: string): void {
    const { round, plan } = outcome
    let readyMs = this.#readyMs.get(round)
    if (readyMs === undefined) {
      this.outcomes.push(outcome)
      readyMs = plan.contributors.reduce(
        (last, { commit }) => Math.max(last, this.#givenMs.get(commit) ?? 0),
        0,
      )
      this.#readyMs.set(round, readyMs)
    }
    const links = this.#peers.get(peer)?.linkCount ?? 0
    this.endings.push({ round, tookMs: this.clock.now() - readyMs, links })
  }
}
