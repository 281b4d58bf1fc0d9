/**
 * One simulated run of the allreduce, from one seed: peers, network and faults are all drawn from it.
 *
 *     1. founding   all peers start; round 0 is committed without faults
 *     2. faults     crashes, restarts, resets, duplicates, partitions, slow peers, newcomers: safety is checked throughout
 *     3. recovery   faults end, links heal: every live peer must commit further rounds, or say what it waits for
 *
 * Crashes never take a quorum away, unless the scenario says so: without a quorum nothing may move, by design.
 */

import type { RoundBase } from '../protocols/allreduce/plan/base.ts'
import { isQuorum, leaderOrder } from '../protocols/allreduce/plan/electorate.ts'
import { Grid } from '../protocols/allreduce/plan/grid.ts'
import type { Partition } from '../protocols/allreduce/plan/parts.ts'
import type { CommittedRound, Timing } from '../protocols/allreduce/round/events.ts'
import type { finishPart, sumRow } from '../protocols/allreduce/round/reduction.ts'
import type { Message } from '../protocols/allreduce/round/vocabulary.ts'
import { helloExpiryMs } from '../protocols/core/limits.ts'
import { type Random, seededRandom, seedFrom } from '../protocols/core/random.ts'
import type { CodecName } from '../protocols/wire/codecs/codec.ts'
import { codecFor } from '../protocols/wire/codecs/index.ts'
import { AllreduceChecker } from './allreduce-checker.ts'
import { AllreducePeer, baseAfter } from './allreduce-peer.ts'
import { VirtualClock } from './clock.ts'
import { FaultLog, interceptWith, type MessageFault } from './faults.ts'
import { type Conditions, Network, type Skew } from './network.ts'
import { SharedWire } from './shared-wire.ts'
import type { Disk, Model, SimulatedRun } from './simulated-run.ts'

export interface SwarmOptions {
  seed: number
  peers: number
  codec: CodecName
  partition: Partition
  peersMin: number
  conditions: Conditions
  timing?: Partial<Timing>
  /** Mean of a round's training time. */
  trainingMs: number
  /** Peers that train this many times slower. */
  slow?: ReadonlyMap<string, number>
  /** Clocks that are off; default: none. */
  skewOf?: ((id: string) => Skew) | undefined
  /** Between two words of gossip to one peer about who is here. Default: it knows at once. */
  gossipMs?: number
  /** Forks are no violation: for scenarios whose electorates expire. */
  mayFork?: boolean
  /** False: silent links are noticed when they break, as before there were pulses. Default true. */
  hearsSilence?: boolean
  /** What the small vectors stand for. Default: themselves. */
  model?: Model
  diskMsMax?: number
  answersBeforeWriting?: boolean
  believesRelays?: boolean
  sum?: typeof sumRow
  finish?: typeof finishPart
  alterOutcome?: (id: string, outcome: CommittedRound) => CommittedRound
  alterSent?: (id: string, to: string, message: Message) => Message | readonly Message[]
}

/** Virtual time after which a recovery counts as stuck: ten times the longest wait of the protocol. */
const recoveryMsMax = 600_000

export class LivenessFailure extends Error {
  override readonly name = 'LivenessFailure'
}

/** A run of simulated peers, and the handles that scenarios pull. */
export class AllreduceSwarm {
  readonly options: SwarmOptions
  readonly clock = new VirtualClock()
  readonly network: Network<Uint8Array>
  readonly checker: AllreduceChecker
  readonly log = new FaultLog()
  readonly #wire: SharedWire
  readonly #electorates = new Map<string, readonly string[]>()
  /** The first commit of each round. */
  readonly outcomes: CommittedRound[] = []
  /** For the scenario's own choices. */
  readonly random: Random
  readonly peers = new Map<string, AllreducePeer>()
  readonly #lives = new Map<string, number>()
  /** When each peer was here last, as far as any gossip saw. */
  readonly #seenMs = new Map<string, number>()
  readonly #disks = new Map<string, Disk>()
  /**
   * Who decides each round, with the life in which the peer was made a member: that one knows what it promised, and any
   * that has its disk.
   */
  readonly #voters = new Map<number, Map<string, number | undefined>>()
  readonly #faults: MessageFault<Uint8Array>[] = []
  #extraFaults: MessageFault<Uint8Array>[] = []

  constructor(options: SwarmOptions) {
    this.options = options
    this.random = seededRandom(seedFrom(options.seed, 'scenario'))
    const random = seededRandom(seedFrom(options.seed, 'network'))
    const { partition, mayFork, conditions, skewOf } = options
    this.network = new Network({ clock: this.clock, random, conditions, skewOf })
    this.checker = new AllreduceChecker({ codec: codecFor(options.codec), partition, mayFork })
    this.#wire = new SharedWire({ codec: codecFor(options.codec), partition })
    this.#intercept()
  }

  /** Names of the peers that the run starts with. */
  get founders(): string[] {
    return Array.from({ length: this.options.peers }, (_, index) => `peer-${index}`)
  }

  /** Starts all founders and runs until all have committed round 0. @throws {LivenessFailure} */
  found(): void {
    for (const id of this.founders) this.start(id, { round: 0, root: 'genesis', electorate: [] })
    this.runUntil(() => this.live().every(({ base }) => (base?.round ?? 0) > 0), 'founding')
  }

  /** Starts a peer: with `base` it holds that state, without it the one on its disk; with neither it must catch up. */
  start(id: string, base?: RoundBase): void {
    const life = (this.#lives.get(id) ?? 0) + 1
    this.#lives.set(id, life)
    const disk = this.#disks.get(id) ?? { pledge: undefined, base: undefined }
    this.#disks.set(id, disk)
    this.network.start(id, (host) => {
      const peer = new AllreducePeer(host, this.#run(), { life, base, disk })
      this.peers.set(id, peer)
      return peer
    })
    const { gossipMs } = this.options
    if (gossipMs === undefined) for (const peer of this.live()) peer.know([...this.#lives.keys()])
    else this.#gossip(this.peers.get(id)!, gossipMs)
  }

  /**
   * Tells `peer`, and again every `gossipMs`, who was here lately: of who is gone it hears for a while yet, as HELLO
   * has it.
   */
  #gossip(peer: AllreducePeer, gossipMs: number): void {
    if (this.peers.get(peer.id) !== peer || !this.network.isRunning(peer.id)) return
    const nowMs = this.clock.now()
    for (const id of this.network.live()) this.#seenMs.set(id, nowMs)
    peer.know([...this.#seenMs].filter(([, seenMs]) => nowMs - seenMs < helloExpiryMs).map(([id]) => id))
    this.clock.setTimer(gossipMs * (0.5 + this.random.next()), () => this.#gossip(peer, gossipMs))
  }

  /** Ends a peer without a word; false when that would take away a quorum. */
  crash(id: string): boolean {
    if (!this.network.isRunning(id) || !this.canLose([id])) return false
    this.network.crash(id)
    return true
  }

  /** What `id` has on its disk is gone; while it runs, what it writes later is not. */
  wipe(id: string): void {
    this.#disks.delete(id)
  }

  /** Has a peer go within `withinMs`, as SIGTERM would. It may be killed before. */
  leave(id: string, withinMs: number): void {
    const peer = this.peers.get(id)!
    peer.leave(withinMs, () => {
      if (this.peers.get(id) === peer) this.network.crash(id)
    })
  }

  /** True when every electorate that still has something to decide keeps more than half of its voters without `ids`. */
  canLose(ids: readonly string[]): boolean {
    const recent = [...this.#voters].filter(([round]) => round >= this.round - 1)
    return recent.every(([round, voters]) => {
      const left = [...voters].filter(([id, life]) => !ids.includes(id) && this.#canVote(id, life, round))
      return 2 * left.length > voters.size
    })
  }

  /**
   * True when so few of the newest electorate's voters are left, by the simulator's own knowledge, that nothing may
   * move.
   */
  get isQuorumLost(): boolean {
    const voters = this.#voters.get(this.round)
    if (voters === undefined) return false
    const { round } = this
    const left = [...voters].filter(([id, life]) => this.#canVote(id, life, round)).map(([id]) => id)
    if (2 * left.length > voters.size) return false
    const root = this.live().find(({ base }) => base?.round === round)?.base?.root ?? ''
    return !isQuorum(leaderOrder(root, [...voters.keys()]), left)
  }

  /** The peers that run, in order of their names. */
  live(): AllreducePeer[] {
    return this.network.live().map((id) => this.peers.get(id)!)
  }

  /** The latest round that a live peer is in. */
  get round(): number {
    let latest = 0
    for (const id of this.network.live()) latest = Math.max(latest, this.peers.get(id)!.base?.round ?? 0)
    return latest
  }

  /** Adds a fault that sees decoded messages. */
  onMessage(fault: MessageFault<Message>): void {
    this.#extraFaults.push((from, to, bytes) => fault(from, to, this.#wire.decode(bytes).message))
    this.#intercept()
  }

  /** Adds a fault that does not look into messages. */
  onAnyMessage(fault: MessageFault<Uint8Array>): void {
    this.#faults.push(fault)
    this.#intercept()
  }

  /** No more faults from messages. */
  calm(): void {
    this.#faults.length = 0
    this.#extraFaults = []
    this.#intercept()
  }

  /** Runs for `durationMs`. */
  runFor(durationMs: number): void {
    const untilMs = this.clock.now() + durationMs
    while (this.clock.runNext(untilMs));
  }

  /** Runs until `isDone`. @throws {LivenessFailure} naming what each peer waits for, when it does not come in time. */
  runUntil(isDone: () => boolean, what: string, limitMs = recoveryMsMax): void {
    const untilMs = this.clock.now() + limitMs
    while (!isDone()) {
      if (this.clock.runNext(untilMs)) continue
      const waiting = this.live().map((peer) => `  ${peer.id}: ${peer.pending()}`)
      throw new LivenessFailure(`${what}: nothing after ${limitMs} ms\n${waiting.join('\n')}`)
    }
  }

  /**
   * Faults are over: every live peer must commit `rounds` more rounds, unless the quorum is lost; then every peer must
   * say so.
   * @throws {LivenessFailure}
   */
  recover(rounds: number): void {
    this.calm()
    this.network.heal()
    const target = this.round + rounds
    const isDone = (): boolean => this.live().every(({ base }) => base !== undefined && base.round >= target)
    const isKnownLost = (): boolean =>
      this.isQuorumLost && this.live().every((peer) => peer.pending().includes('waiting for a quorum of'))
    this.runUntil(() => isDone() || isKnownLost(), 'recovery')
  }

  /** `id` runs, and knows what it promised in `round`: in the life that was made a member, or by its disk. */
  #canVote(id: string, incarnation: number | undefined, round: number): boolean {
    if (!this.network.isRunning(id)) return false
    const peer = this.peers.get(id)!
    return peer.incarnation === incarnation || (peer.recalledSince ?? Number.POSITIVE_INFINITY) <= round
  }

  /** The first commit of a round says who votes in the next: its members, each in the life that the plan names. */
  #noteOutcome(outcome: CommittedRound): void {
    const { round, electorate, plan } = outcome
    if (this.#voters.has(round + 1)) return
    this.outcomes.push(outcome)
    const lives = new Map([
      ...plan.contributors.map(({ peer, commit }) => [peer, this.checker.incarnationOf(commit)] as const),
      ...plan.receivers.map(({ peer, incarnation }) => [peer, incarnation] as const),
    ])
    const { root } = baseAfter(outcome)
    const { council } = new Grid(root, electorate)
    this.#voters.set(round + 1, new Map(council.map((id) => [id, lives.get(id)])))
  }

  #run(): SimulatedRun {
    const { seed, partition, codec, peersMin, timing, trainingMs, slow, sum, finish, alterOutcome } =
      this.options
    const { model, hearsSilence, diskMsMax, answersBeforeWriting, believesRelays, alterSent } = this.options
    return {
      seed,
      partition,
      codec: codecFor(codec),
      peersMin,
      timing,
      checker: this.checker,
      electorates: this.#electorates,
      wire: this.#wire,
      onCommitted: (outcome) => this.#noteOutcome(outcome),
      trainingMs: (id, random) => trainingMs * (0.5 + random.next()) * (slow?.get(id) ?? 1),
      states: (id) =>
        this.live()
          .filter((peer) => peer.base !== undefined && peer.id !== id && this.network.isLinked(id, peer.id))
          .map((peer) => ({ peer: peer.id, base: peer.base! })),
      model,
      hearsSilence,
      onSilent: () => this.log.note('silent link'),
      diskMsMax,
      answersBeforeWriting,
      believesRelays,
      sum,
      finish,
      alterOutcome,
      alterSent,
    }
  }

  #intercept(): void {
    interceptWith(this.network, [...this.#extraFaults, ...this.#faults])
  }
}
