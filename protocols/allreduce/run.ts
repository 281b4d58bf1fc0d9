/**
 * One run's averaging over libp2p: a machine, its links, and the calls that wait for its answers.
 *
 *     links ──frames──▶ inspect (hash, decode) ──▶ machine ──effects──▶ queue ──▶ links
 *                                                     │ ▲
 *                                         reduce, hash ┘ └ timers, what the run asks for
 *
 * Everything that is decided is decided in the machine, and what is done with numbers and bytes stands in `vectors.ts`.
 * Here messages are queued under back-pressure, and the run's calls wait for the machine's answers. Frames of one peer
 * are inspected one at a time, so they reach the machine in order.
 */

import { sha256 as sha256Sync } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import type { Clock } from '../core/clock.ts'
import { SwarmError } from '../core/errors.ts'
import { codecFor } from '../wire/codecs/index.ts'
import type { PeerComponents } from '../wire/components.ts'
import { Links } from '../wire/link.ts'
import type { Frame } from '../wire/outbox.ts'
import { EffectQueue } from './effect-queue.ts'
import { AllreduceMachine } from './machine.ts'
import { decodeMessage } from './messages.ts'
import {
  type AllreduceRunInit,
  allreduceProtocol,
  type Offer,
  type RoundCommitted,
  type RoundOutcome,
} from './options.ts'
import { Outcomes, type Wanted } from './outcomes.ts'
import { Outgoing } from './outgoing.ts'
import type { RoundBase } from './plan/base.ts'
import { partitionOf } from './plan/parts.ts'
import { decodePledge } from './pledge-codec.ts'
import { type CommittedRound, defaultTiming, type Effect, type Event, type Outlook } from './round/events.ts'
import type { Pledge } from './round/pledge.ts'
import { isData, type Message } from './round/vocabulary.ts'
import { signerOf, verify } from './signatures.ts'
import { Throughput } from './throughput.ts'
import { Vectors } from './vectors.ts'

/** A goodbye, and the last of what was given, that has not gone out by then does not go out. */
const flushMsMax = 1_000

const hashOf = (bytes: Uint8Array): string => bytesToHex(sha256Sync(bytes))

export class AllreduceRun {
  readonly #init: AllreduceRunInit
  readonly #clock: Clock
  readonly #self: string
  readonly #vectors: Vectors
  readonly #machine: AllreduceMachine
  readonly #links: Links
  readonly #outgoing: Outgoing
  readonly #onLeft: () => void
  readonly #outcomes: Outcomes
  readonly #throughput = new Throughput()
  #stopTimer: (() => void) | undefined
  readonly #left = Promise.withResolvers<void>()
  #hasLeft = false
  /** Events that wait for the one being handled, which is the first. */
  readonly #events: Event[] = []
  readonly #effects: EffectQueue
  readonly #failed = new AbortController()

  constructor(components: PeerComponents, clock: Clock, init: AllreduceRunInit, onLeft: () => void) {
    this.#init = init
    this.#clock = clock
    this.#self = components.peerId.toString()
    this.#onLeft = onLeft
    const codec = codecFor(init.codec, { kept: init.topkKept })
    this.#vectors = new Vectors(codec, partitionOf(init.parameterCount))
    this.#outcomes = new Outcomes(this.#self, this.#vectors)
    this.#machine = new AllreduceMachine({
      self: this.#self,
      job: init.job,
      incarnation: crypto.getRandomValues(new Uint32Array(1))[0]!,
      partition: this.#vectors.partition,
      encodedBytes: (elements) => codec.encodedBytes(elements),
      peersMin: init.peersMin,
      timing: init.timing ?? defaultTiming,
      recalled: this.#recall(),
      sign: signerOf(components.privateKey),
      verify,
      hash: hashOf,
    })
    this.#effects = new EffectQueue({
      self: this.#self,
      store: init.pledges,
      clock,
      carryOut: (effect) => this.#carryOut(effect),
      onFailure: (error) => {
        this.#failed.abort(error)
        this.#outcomes.fail(error)
        this.#left.resolve()
      },
    })
    this.#links = new Links(components, {
      protocol: allreduceProtocol(init.job),
      onMessage: (peer, frame) => this.#receive(peer, frame),
      onUp: (peer) => this.#step({ kind: 'LinkUp', peer }),
      onDown: (peer) => {
        this.#outgoing.drop(peer)
        this.#step({ kind: 'LinkDown', peer })
      },
      onSilent: (peer) => this.#step({ kind: 'LinkSilent', peer }),
      onHeard: (peer) => this.#step({ kind: 'LinkHeard', peer }),
      clock,
    })
    this.#outgoing = new Outgoing({
      send: (peer, frame, message) => this.#send(peer, frame, message),
      onOverflow: (peer, error) => {
        this.#links.breakOff(peer, error)
        init.onEvent?.({ kind: 'refused', peer, reason: error.message })
      },
      onError: (peer, error) =>
        init.onEvent?.({
          kind: 'refused',
          peer,
          reason: error instanceof Error ? error.message : String(error),
        }),
    })
  }

  /** What a former life of this peer pledged. */
  #recall(): Pledge | undefined {
    const bytes = this.#init.pledges?.recalled
    if (bytes === undefined) return undefined
    try {
      return decodePledge(bytes, { peer: this.#self, hash: hashOf })
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      this.#init.onEvent?.({ kind: 'pledge-lost', reason: error.message })
      return undefined
    }
  }

  /** Called once by {@link Allreduce.open}. */
  async start(): Promise<void> {
    await this.#links.start()
  }

  /**
   * Who takes part in this run, as far as is known. Links are opened with those that this peer's place in the run calls
   * for.
   */
  setPeers(peers: Iterable<string>): void {
    const known = [...new Set(peers)].filter((peer) => peer !== this.#machine.self)
    this.#step({ kind: 'PeersKnown', peers: known })
  }

  /**
   * Aborts, with STORAGE_FAILED, when what binds this peer could not be written: it says nothing more, and its part in
   * the run is over.
   */
  get failed(): AbortSignal {
    return this.#failed.signal
  }

  /** Bytes exchanged for this run so far. */
  get traffic(): { uploadedBytes: number; downloadedBytes: number } {
    const total = { uploadedBytes: 0, downloadedBytes: 0 }
    for (const { bytesUp, bytesDown } of this.#links.traffic().values()) {
      total.uploadedBytes += bytesUp
      total.downloadedBytes += bytesDown
    }
    return total
  }

  /** What this peer waits for, in words. */
  pending(): string {
    return this.#machine.pending()
  }

  /** Tells the others that this peer holds the round's state, before it has an update to give. */
  hold(base: RoundBase): void {
    this.#step({ kind: 'StateReady', base })
  }

  /**
   * Gives an update and waits for the outcome of the round.
   * @throws {SwarmError} PART_INVALID when a value is not finite; `residual` is then as it was. STORAGE_FAILED.
   */
  async average(
    { update, weight, pace, codec, reducesNothing, residual, averageInto, ...base }: Offer,
    { signal }: { signal: AbortSignal },
  ): Promise<RoundOutcome> {
    signal.throwIfAborted()
    const { parts, digests } = await this.#vectors.encode({ update, codec, residual })
    const isNoReducer = this.#init.isClientOnly === true || reducesNothing === true
    const bandwidth = isNoReducer ? 0 : this.#throughput.settle()
    this.#step({ kind: 'ReachMeasured', bandwidth, place: this.#init.place?.() })
    this.#init.onEvent?.({ kind: 'phase', round: base.round, phase: 'offered' })
    const event: Event = { kind: 'UpdateReady', base, weight, pace, parts, digests }
    return this.#outcome(event, { round: base.round, averageInto }, { signal })
  }

  /** Who is here now, and how far the round of this peer's state has come. */
  get outlook(): Outlook {
    return this.#machine.outlook()
  }

  /** Where linked peers said last that they stand, those that have a state; borrowed. */
  get standings(): ReadonlyMap<string, { round: number; root: string }> {
    return this.#machine.standings
  }

  /** Waits for the outcome of a round without giving anything to it. @throws {SwarmError} STORAGE_FAILED. */
  async receive(base: RoundBase, { signal }: { signal: AbortSignal }): Promise<RoundOutcome> {
    const wanted = { round: base.round, averageInto: undefined }
    return this.#outcome({ kind: 'JoinAsReceiver', base }, wanted, { signal })
  }

  /** Reports every round's outcome while this peer has no state; ended by the returned function. */
  follow(onCommitted: (outcome: RoundCommitted) => void): () => void {
    const stop = this.#outcomes.follow(onCommitted)
    this.#step({ kind: 'FollowStarted' })
    return stop
  }

  /**
   * Says goodbye and drops the links. What this peer gave to a round that has not ended, and what it sums for others,
   * is waited for as long as `withinMs`, while anybody stays. Asked again, the shorter time counts.
   */
  async leave({ withinMs = 0 }: { withinMs?: number } = {}): Promise<void> {
    this.#step({ kind: 'LeaveRequested', withinMs })
    await this.#within(withinMs + flushMsMax, this.#left.promise) // a disk that does not answer keeps nobody
    if (this.#hasLeft) return
    this.#hasLeft = true
    this.#stopTimer?.()
    await this.#within(flushMsMax, this.#outgoing.flushed())
    await this.#links.stop()
    this.#onLeft()
  }

  /** Resolves with `done`, or after `timeoutMs`. */
  async #within(timeoutMs: number, done: Promise<void>): Promise<void> {
    let stopWaiting = () => {}
    const timeout = new Promise<void>((resolve) => {
      stopWaiting = this.#clock.setTimer(timeoutMs, resolve)
    })
    await Promise.race([done, timeout])
    stopWaiting()
  }

  #outcome(event: Event, wanted: Wanted, { signal }: { signal: AbortSignal }): Promise<RoundOutcome> {
    const begin = (): void => {
      this.#failed.signal.throwIfAborted()
      this.#step(event)
    }
    return this.#outcomes.of(wanted, begin, { signal })
  }

  /** One event at a time: an effect that leads to another event must not interrupt those after it. */
  #step(event: Event): void {
    this.#events.push(event)
    if (this.#events.length > 1) return
    try {
      for (let next = this.#events[0]; next !== undefined; next = this.#events[0]) {
        this.#effects.put(this.#machine.step(next, this.#clock.now()))
        this.#events.shift()
      }
    } finally {
      this.#events.length = 0 // a bug must be heard, not turn every later event into one that waits
    }
  }

  #carryOut(effect: Exclude<Effect, { kind: 'Pledged' }>): void {
    switch (effect.kind) {
      case 'Send':
        this.#outgoing.put(effect.to, effect.message)
        return
      case 'SetTimer':
        this.#stopTimer?.()
        this.#stopTimer = this.#clock.setTimer(effect.delayMs, () => this.#step({ kind: 'TimerFired' }))
        return
      case 'Link':
        this.#links.setPeers(effect.peers)
        return
      case 'Reduce':
        void this.#reduce(effect)
        return
      case 'Finish':
        void this.#finish(effect)
        return
      case 'Committed':
        this.#committed(effect.outcome)
        return
      case 'Behind':
        this.#outcomes.behind(effect)
        return
      case 'Left':
        this.#left.resolve()
        return
      case 'Progress':
        this.#init.onEvent?.({ kind: 'phase', round: effect.round, phase: effect.phase })
        return
      case 'QuorumLost': {
        const { round, live, deciding, missing, expiresInMs } = effect
        this.#init.onEvent?.({ kind: 'quorum-lost', round, live, deciding, missing, expiresInMs })
        return
      }
      case 'Refused':
        this.#init.onEvent?.({ kind: 'refused', peer: effect.peer, reason: effect.reason })
    }
  }

  #committed(outcome: CommittedRound): void {
    if (!this.#outcomes.isWanted(outcome.round)) return
    // decided without them, and `averageInto` may be the memory that they are made from
    this.#outgoing.withdraw((message) => message.kind === 'Part' && message.round <= outcome.round)
    this.#outcomes.committed(outcome)
  }

  /** Leaves the step that asked for it first: what is summed here is an event of its own. */
  async #reduce(effect: Extract<Effect, { kind: 'Reduce' }>): Promise<void> {
    await Promise.resolve()
    const { round, planId, part } = effect
    this.#step({ kind: 'PartReduced', round, planId, part, outcome: this.#vectors.sum(effect) })
  }

  async #finish(effect: Extract<Effect, { kind: 'Finish' }>): Promise<void> {
    const { round, planId, part } = effect
    this.#step({ kind: 'PartFinished', round, planId, part, ...(await this.#vectors.finish(effect)) })
  }

  async #send(peer: string, frame: Frame, message: Message): Promise<void> {
    if (!isData(message)) return this.#links.send(peer, frame)
    let sentBytes = 0
    this.#throughput.sendStarted(this.#clock.now())
    try {
      await this.#links.send(peer, frame)
      sentBytes = frame.byteLength
    } finally {
      this.#throughput.sendEnded(sentBytes, this.#clock.now())
    }
  }

  async #receive(peer: string, frame: Uint8Array): Promise<void> {
    let message: Message
    try {
      message = decodeMessage(frame)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      this.#init.onEvent?.({ kind: 'refused', peer, reason: error.message })
      return
    }
    if (isData(message)) this.#throughput.arrived(frame.length, this.#clock.now())
    const inspection = await this.#vectors.inspect(message)
    this.#step({ kind: 'MessageReceived', from: peer, message, inspection })
  }
}
