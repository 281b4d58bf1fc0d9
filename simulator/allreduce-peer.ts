/**
 * A simulated peer of a run: the allreduce machine, with a stand-in for training around it.
 *
 *     round 0 ──▶ train (a seeded pause, a seeded update) ──▶ UpdateReady ──▶ Committed ──▶ next state ──▶ train …
 *     restarted, late or behind ──▶ follow ──▶ fetch a live peer's state ──▶ apply what was committed since ──▶ receive
 *
 * Messages go through the wire format, hashing happens at once, summing a little later. A state is its round, its root
 * (a hash over all averages before it) and its electorate; no parameters are kept, since the root tells them apart.
 * What it pledges and the state it came to go to its disk, which is slower than anything else it does.
 */

import { sha256 } from '@noble/hashes/sha2.js'
import { AllreduceMachine } from '../protocols/allreduce/machine.ts'
import type { RoundBase } from '../protocols/allreduce/plan/base.ts'
import { commitIdentity, encodeParts, partLength, resultIdentity } from '../protocols/allreduce/plan/parts.ts'
import { decodePledge, encodePledge } from '../protocols/allreduce/pledge-codec.ts'
import {
  type CommittedRound,
  defaultTiming,
  type Effect,
  type Event,
} from '../protocols/allreduce/round/events.ts'
import type { Pledge } from '../protocols/allreduce/round/pledge.ts'
import { finishPart, sumRow } from '../protocols/allreduce/round/reduction.ts'
import type { Message } from '../protocols/allreduce/round/vocabulary.ts'
import { toHex } from '../protocols/core/fields.ts'
import { type Random, seededRandom, seedFrom } from '../protocols/core/random.ts'
import type { Host, Process } from './process.ts'
import { isSignatureOf, signatureOf } from './signatures.ts'
import type { Disk, SimulatedRun } from './simulated-run.ts'

/** How long the transfer of a state takes. */
const fetchMs = 800

/** How long the sum of one part takes: other events come in between. */
const reduceMs = 3

const hash = (bytes: Uint8Array): string => toHex(sha256(bytes))

/** The base of the next round. */
export function baseAfter({ root, round, parts, electorate }: CommittedRound): RoundBase {
  const text = [root, ...parts.map(({ bytes }) => hash(bytes)), ...electorate].join()
  return { round: round + 1, root: hash(new TextEncoder().encode(text)).slice(0, 16), electorate }
}

export class AllreducePeer implements Process<Uint8Array> {
  readonly id: string
  readonly #run: SimulatedRun
  readonly #host: Host<Uint8Array>
  readonly #random: Random
  /** Names this life of the peer. */
  readonly incarnation: number
  readonly #machine: AllreduceMachine
  /** Effects of a kind that tests ask about. */
  readonly seen = { behind: 0, quorumLost: 0, refused: [] as string[] }
  #state: RoundBase | undefined
  #buffered = new Map<number, CommittedRound>()
  #cancelTimer: (() => void) | undefined
  readonly #events: Event[] = []
  #isStepping = false
  /** Effects that wait for a write. */
  #held: Effect[] = []
  #isWriting = false
  readonly #disk: Disk
  readonly #recalled: Pledge | undefined
  #onLeft = () => {}

  /**
   * `known`: the peers of the run; without them it is linked with everybody until `know` is called. `disk`: its own,
   * which a former life may have written.
   */
  constructor(
    host: Host<Uint8Array>,
    run: SimulatedRun,
    options: { life: number; base?: RoundBase; known?: readonly string[]; disk?: Disk },
  ) {
    this.#disk = options.disk ?? { pledge: undefined, base: undefined }
    const { pledge } = this.#disk
    this.#recalled = pledge && decodePledge(pledge, { peer: host.id, hash })
    this.id = host.id
    this.#host = host
    this.#run = run
    this.incarnation = seedFrom(run.seed, host.id, options.life) >>> 0
    this.#random = seededRandom(this.incarnation)
    const { partition, codec, peersMin, model, believesRelays = false } = run
    this.#machine = new AllreduceMachine({
      self: host.id,
      incarnation: this.incarnation,
      partition,
      encodedBytes: (elements) => (model ?? codec).encodedBytes(elements),
      peersMin,
      job: 'simulated',
      sign: (bytes) => signatureOf(host.id, bytes),
      verify: (peer, bytes, signature) => believesRelays || isSignatureOf(peer, bytes, signature),
      timing: { ...defaultTiming, electorateExpiryMs: Number.POSITIVE_INFINITY, ...run.timing },
      firstRound: model?.firstRound,
      recalled: this.#recalled,
      hash,
    })
    if (model !== undefined) this.#step({ kind: 'ReachMeasured', ...model.reach(host.id) })
    if (options.known !== undefined) host.setPeers([]) // until the machine says whom it wants
    const base = options.base ?? this.#disk.base
    if (base === undefined) this.#catchUp()
    else this.#hold(base)
    if (options.known !== undefined) this.know(options.known)
  }

  /** The first round that this life remembers from its disk; undefined when there was nothing on it. */
  get recalledSince(): number | undefined {
    return this.#recalled?.since
  }

  /** The state that this peer holds; undefined while it catches up. */
  get base(): RoundBase | undefined {
    return this.#state
  }

  /** Peers that it is linked with and that did not say goodbye. */
  get linkCount(): number {
    return this.#machine.livePeers().length
  }

  pending(): string {
    return this.#state === undefined ? `catching up; ${this.#machine.pending()}` : this.#machine.pending()
  }

  /** Who takes part in the run, as gossip would tell. */
  know(peers: readonly string[]): void {
    this.#step({ kind: 'PeersKnown', peers: peers.filter((peer) => peer !== this.id) })
  }

  linkUp(peer: string): void {
    this.#step({ kind: 'LinkUp', peer })
  }

  linkDown(peer: string): void {
    this.#step({ kind: 'LinkDown', peer })
  }

  linkSilent(peer: string): void {
    if (this.#run.hearsSilence === false) return
    this.#run.onSilent?.()
    this.#step({ kind: 'LinkSilent', peer })
  }

  linkHeard(peer: string): void {
    this.#step({ kind: 'LinkHeard', peer })
  }

  receive(from: string, bytes: Uint8Array): void {
    this.#step({ kind: 'MessageReceived', from, ...this.#run.wire.decode(bytes) })
  }

  /** Goes, once it has handed over what it owes; after `withinMs` at the latest. `onLeft` ends the process. */
  leave(withinMs: number, onLeft: () => void): void {
    this.#onLeft = onLeft
    this.#step({ kind: 'LeaveRequested', withinMs })
  }

  #hold(base: RoundBase): void {
    this.#state = base
    this.#step({ kind: 'StateReady', base })
    this.#host.clock.setTimer(this.#run.trainingMs(this.id, this.#random), () => this.#giveUpdate(base))
  }

  #giveUpdate(base: RoundBase): void {
    if (this.#state !== base) return // carried along by the others meanwhile
    const { partition, codec, checker } = this.#run
    const update = Float32Array.from({ length: partition.elements }, () => Math.fround(this.#random.normal()))
    const weight = 1 + this.#random.integer(64)
    const parts = encodeParts(update, partition, codec)
    const digests = parts.map(hash)
    const { incarnation } = this
    const commit = hash(commitIdentity({ incarnation, weight, digests }))
    const given = { peer: this.id, base, weight, parts, commit, incarnation }
    checker.gave(given)
    this.#run.onGiven?.(given)
    this.#step({ kind: 'UpdateReady', base, weight, parts, digests })
  }

  #catchUp(): void {
    this.#state = undefined
    this.#step({ kind: 'FollowStarted' })
    this.#fetch()
  }

  #fetch(): void {
    const [best] = this.#run.states(this.id).sort((a, b) => b.base.round - a.base.round)
    this.#host.clock.setTimer(fetchMs, () => {
      if (this.#state !== undefined) return
      let base = best?.base
      if (base === undefined) return this.#fetch()
      for (let next = this.#after(base); next !== undefined; next = this.#after(base))
        base = this.#baseAfter(next)
      const { round } = base
      if ([...this.#buffered.keys()].some((committed) => committed >= round)) return this.#fetch()
      this.#buffered.clear()
      this.#state = base
      this.#step({ kind: 'JoinAsReceiver', base })
    })
  }

  /** The state after `outcome`, its list the one of all peers that come to it: so they share one grid. */
  #baseAfter(outcome: CommittedRound): RoundBase {
    const base = baseAfter(outcome)
    const electorate = this.#run.electorates.get(base.root) ?? base.electorate
    this.#run.electorates.set(base.root, electorate)
    return { ...base, electorate }
  }

  /** What was committed meanwhile on top of `base`. */
  #after(base: RoundBase): CommittedRound | undefined {
    const outcome = this.#buffered.get(base.round)
    return outcome?.root === base.root ? outcome : undefined
  }

  #committed(outcome: CommittedRound): void {
    const { checker, alterOutcome } = this.#run
    const seen = alterOutcome?.(this.id, outcome) ?? outcome
    checker.committed(this.id, seen)
    this.#run.onCommitted?.(seen, this.id)
    if (this.#state === undefined) {
      this.#buffered.set(seen.round, seen)
    } else if (seen.round === this.#state.round && seen.root === this.#state.root) {
      this.#hold(this.#baseAfter(seen))
    }
  }

  /** One event at a time: an effect that leads to another event must not interrupt the ones after it. */
  #step(event: Event): void {
    this.#events.push(event)
    if (this.#isStepping) return
    this.#isStepping = true
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      for (const effect of this.#machine.step(next, this.#host.clock.now())) this.#inTurn(effect)
    }
    this.#isStepping = false
  }

  /** No effect is carried out before the pledge ahead of it is written. */
  #inTurn(effect: Effect): void {
    if (this.#isWriting) this.#held.push(effect)
    else if (effect.kind === 'Pledged') this.#write(effect.pledge)
    else this.#execute(effect)
  }

  /** A state goes to disk before what is pledged in its round, as one writer does it. */
  #write(pledge: Pledge | undefined): void {
    const { diskMsMax = 20, answersBeforeWriting = false } = this.#run
    const bytes = pledge && joined(encodePledge(pledge, this.id))
    const base = this.#state
    this.#isWriting = !answersBeforeWriting
    this.#host.clock.setTimer(1 + this.#random.integer(diskMsMax), () => {
      this.#disk.pledge = bytes
      this.#disk.base = base
      this.#isWriting = false
      for (const effect of this.#held.splice(0)) this.#inTurn(effect)
    })
  }

  #execute(effect: Exclude<Effect, { kind: 'Pledged' }>): void {
    switch (effect.kind) {
      case 'Send':
        this.#send(effect.to, effect.message)
        return
      case 'SetTimer':
        this.#cancelTimer?.()
        this.#cancelTimer = this.#host.clock.setTimer(effect.delayMs, () =>
          this.#step({ kind: 'TimerFired' }),
        )
        return
      case 'Reduce':
        this.#host.clock.setTimer(reduceMs, () => this.#reduce(effect))
        return
      case 'Finish':
        this.#host.clock.setTimer(reduceMs, () => this.#finish(effect))
        return
      case 'Link':
        this.#host.setPeers(effect.peers)
        return
      case 'Committed':
        this.#committed(effect.outcome)
        return
      case 'Behind':
        this.seen.behind++
        this.#catchUp()
        return
      case 'Refused':
        this.seen.refused.push(`${effect.peer}: ${effect.reason}`)
        return
      case 'QuorumLost':
        this.seen.quorumLost++
        return
      case 'Left':
        this.#onLeft()
        return
      case 'Progress':
        return
    }
  }

  #send(to: string, message: Message): void {
    const { wire, model, alterSent } = this.#run
    for (const said of [alterSent?.(this.id, to, message) ?? message].flat()) {
      const bytes = wire.encode(said)
      this.#host.send(to, bytes, model?.frameBytes(said, bytes) ?? bytes.length)
    }
  }

  #reduce({ round, planId, part, inputs }: Extract<Effect, { kind: 'Reduce' }>): void {
    const { codec, partition, sum = sumRow } = this.#run
    const outcome = sum(codec, partLength(partition, part), inputs)
    this.#step({ kind: 'PartReduced', round, planId, part, outcome })
  }

  #finish({ round, planId, part, sums, bitmap, weight }: Extract<Effect, { kind: 'Finish' }>): void {
    const { codec, finish = finishPart } = this.#run
    const bytes = finish(codec, sums, weight)
    const digest = hash(resultIdentity({ planId, part, weight, bitmap, bytes }))
    this.#step({ kind: 'PartFinished', round, planId, part, bytes, digest })
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}
