/**
 * The allreduce of one run, as one peer takes part in it: `step(event) → effects`, pure but for its own memory.
 *
 *     following ──────────┐                        no state yet; learns what every round came to
 *                         ▼
 *     between rounds ──StateReady──▶ waiting ──UpdateReady / JoinAsReceiver──▶ in the round ──Committed──▶ between rounds
 *                         ▲                                                       │
 *                         └───────────────────── Behind ◀─────────────────────────┘
 *
 * A round goes Commit → Plan → Part → Result → Seal → Accepted; docs/protocols.md tells the story, `voting` and `leading`
 * hold the agreement, `reducing` the data. This file keeps the rounds that matter now (two committed ones, to serve
 * peers that missed their end, the current one, and the next), the links, and the clock of the waits.
 */

import { roundsKept } from '../core/limits.ts'
import type { RoundBase } from './base.ts'
import { Positions } from './behind.ts'
import { Duties } from './duties.ts'
import { compareText } from './electorate.ts'
import type { Effect, Event, Inspection, MachineInit } from './events.ts'
import { commitIdentity } from './parts.ts'
import { pendingReason } from './pending.ts'
import type { Session } from './session.ts'
import type { Commit, Hold, Message, RoundMessage } from './vocabulary.ts'

/** Rounds that a peer without a state keeps, newest first: the ones that can still be committed while it looks. */
const roundsFollowed = roundsKept + 2

interface LocalMessage {
  message: Message
  inspection: Inspection | undefined
}

export class AllreduceMachine implements Session {
  readonly self: string
  readonly init: MachineInit
  readonly #rounds = new Map<number, Duties>()
  readonly #up = new Set<string>()
  readonly #left = new Set<string>()
  readonly #following = new Set<string>()
  readonly #positions = new Positions()
  /** The round that this peer is in, or will be in next; undefined while it has no state. */
  #place: number | undefined
  #isWaiting = false
  #isFollowing = false
  #isGone = false
  #nowMs = 0
  #wakeMs = Number.POSITIVE_INFINITY
  #effects: Effect[] = []
  readonly #local: LocalMessage[] = []

  constructor(init: MachineInit) {
    this.init = init
    this.self = init.self
  }

  get nowMs(): number {
    return this.#nowMs
  }

  /** Takes one event at time `nowMs` (never less than before) and returns what is to be done, in order. */
  step(event: Event, nowMs: number): Effect[] {
    if (this.#isGone) return []
    this.#nowMs = nowMs
    this.#effects = []
    this.#take(event)
    do {
      for (let next = this.#local.shift(); next !== undefined; next = this.#local.shift()) {
        this.#receive(this.self, next.message, next.inspection)
      }
      for (const number of this.#numbers()) this.#advance(number)
    } while (this.#local.length > 0)
    this.#judge()
    this.#setTimer()
    return this.#effects
  }

  /** What the peer waits for, in words, for people and for the simulator's liveness check. */
  pending(): string {
    const duties = this.#place === undefined ? undefined : this.#rounds.get(this.#place)
    if (this.#isGone) return 'gone'
    if (this.#place === undefined)
      return this.#isFollowing ? 'following until the state is here' : 'no state yet'
    if (duties?.round.base === undefined) return `round ${this.#place}: the state is not here yet`
    return `round ${this.#place}: ${pendingReason(duties, this)}`
  }

  isLive(peer: string): boolean {
    return peer === this.self || (this.#up.has(peer) && !this.#left.has(peer))
  }

  livePeers(): readonly string[] {
    return [...this.#up].filter((peer) => !this.#left.has(peer)).sort(compareText)
  }

  isFollowing(peer: string): boolean {
    return this.#following.has(peer)
  }

  send(to: string, message: Message): void {
    if (to === this.self) this.#local.push({ message, inspection: this.#inspectOwn(message) })
    else if (this.isLive(to)) this.#effects.push({ kind: 'Send', to, message })
  }

  broadcast(message: Message): void {
    for (const peer of this.livePeers()) this.send(peer, message)
    this.send(this.self, message)
  }

  emit(effect: Effect): void {
    this.#effects.push(effect)
  }

  refuse(peer: string, reason: string): void {
    this.#effects.push({ kind: 'Refused', peer, reason })
  }

  #take(event: Event): void {
    switch (event.kind) {
      case 'StateReady':
        this.#enter(event.base)
        return
      case 'UpdateReady':
        this.#update(event)
        return
      case 'JoinAsReceiver':
        this.#joinAsReceiver(event.base)
        return
      case 'FollowStarted':
        this.#place = undefined
        this.#isWaiting = false
        this.#isFollowing = true
        this.broadcast({ kind: 'Follow' })
        return
      case 'LeaveRequested':
        for (const peer of this.livePeers()) this.send(peer, { kind: 'Leave' })
        this.#isGone = true
        return
      case 'LinkUp':
        this.#linkUp(event.peer)
        return
      case 'LinkDown':
        this.#forget(event.peer)
        this.#up.delete(event.peer)
        return
      case 'MessageReceived':
        if (this.#up.has(event.from)) this.#receive(event.from, event.message, event.inspection)
        else this.refuse(event.from, 'a message without a link')
        return
      case 'PartReduced':
        this.#rounds.get(event.round)?.reducing.reduced(event)
        return
      case 'TimerFired':
        this.#wakeMs = Number.POSITIVE_INFINITY
    }
  }

  /** Begins the round of `base`; undefined when that is over already and the answer was given. */
  #enter(base: RoundBase): Duties | undefined {
    if (this.#place !== undefined && base.round < this.#place) {
      this.#answerLate(base)
      return undefined
    }
    let duties = this.#rounds.get(base.round)
    const known = duties?.round.base
    if (known !== undefined && known.root === base.root) return this.#resume(duties!)
    if (duties === undefined || known !== undefined) duties = this.#startOver(base.round, duties)
    this.#isFollowing = false
    this.#isWaiting = true
    this.#place = base.round
    this.#rounds.set(base.round, duties)
    this.#prune()
    duties.round.begin(base, this.#nowMs, this.#isVoterIn(base))
    const { isVoter } = duties.round
    const { round, root } = base
    this.broadcast({ kind: 'Hold', round, root, incarnation: this.init.incarnation, isVoter })
    return duties
  }

  /** A record for another state of the same round: what the others said about themselves stays true. */
  #startOver(number: number, before: Duties | undefined): Duties {
    const duties = new Duties(number, this)
    for (const [peer, standing] of before?.round.standings ?? []) {
      if (peer !== this.self) duties.round.standings.set(peer, standing)
    }
    return duties
  }

  #resume(duties: Duties): Duties {
    this.#isFollowing = false
    this.#isWaiting = true
    this.#place = duties.round.number
    if (duties.round.committed !== undefined)
      this.emit({ kind: 'Committed', outcome: duties.round.committed })
    return duties
  }

  /** The run asks for a round that this machine has left behind: it may still know the outcome. */
  #answerLate(base: RoundBase): void {
    const committed = this.#rounds.get(base.round)?.round.committed
    if (committed !== undefined && committed.root === base.root) {
      this.emit({ kind: 'Committed', outcome: committed })
      return
    }
    this.#place = base.round
    this.#isWaiting = true
    const ahead = this.#positions.judge(base, this.#nowMs, this.#nowMs, 0)
    this.#becomeBehind(ahead ?? { round: base.round, root: base.root, peers: [] })
  }

  #update(event: Extract<Event, { kind: 'UpdateReady' }>): void {
    const duties = this.#enter(event.base)
    if (duties === undefined || duties.round.committed !== undefined || duties.round.own !== undefined) return
    const { weight, norm, bandwidth, parts, digests } = event
    const { incarnation } = this.init
    const commit = this.init.hash(commitIdentity({ incarnation, weight, digests }))
    duties.round.own = { weight, parts, digests, commit }
    const { isVoter } = duties.round
    const { round, root } = event.base
    this.broadcast({ kind: 'Commit', round, root, incarnation, isVoter, weight, norm, bandwidth, digests })
  }

  #joinAsReceiver(base: RoundBase): void {
    const duties = this.#enter(base)
    if (duties === undefined || duties.round.committed !== undefined) return
    const { incarnation } = this.init
    const { round, root } = base
    const { isVoter } = duties.round
    const nothing = { weight: 0, norm: 0, bandwidth: undefined, digests: [] }
    this.broadcast({ kind: 'Commit', round, root, incarnation, isVoter, ...nothing })
  }

  /** A member votes if the plan that made it one names this life of it; nobody remembers what it promised in another. */
  #isVoterIn({ round, electorate }: RoundBase): boolean {
    if (electorate.length === 0) return true
    const before = this.#rounds.get(round - 1)?.round
    const { committed } = before ?? {}
    if (committed === undefined || committed.electorate.join() !== electorate.join()) return false
    const plan = before!.plans.get(committed.planId)!
    return (
      plan.contributors.some(({ peer, commit }) => peer === this.self && commit === before!.own?.commit) ||
      plan.receivers.some((r) => r.peer === this.self && r.incarnation === this.init.incarnation)
    )
  }

  /** This peer fetched the state of round `number`, and learns only now that it was made a member of it in this life. */
  #reconsiderVote(number: number): void {
    const round = this.#rounds.get(number)?.round
    if (round?.base === undefined || round.isVoter || !this.#isVoterIn(round.base)) return
    round.isVoter = true
    const standing = this.#ownStanding(number)
    if (standing !== undefined) this.broadcast(standing)
  }

  /** What this peer says about itself in a round. */
  #ownStanding(number: number): Hold | Commit | undefined {
    const round = this.#rounds.get(number)?.round
    const own = round?.standings.get(this.self)
    if (round === undefined || own === undefined) return undefined
    const { root, incarnation, commit } = own
    const { isVoter } = round
    return commit
      ? { ...commit.message, isVoter }
      : { kind: 'Hold', round: number, root, incarnation, isVoter }
  }

  #linkUp(peer: string): void {
    this.#up.add(peer)
    this.#left.delete(peer)
    if (this.#isFollowing) this.send(peer, { kind: 'Follow' })
    const standing = this.#place === undefined ? undefined : this.#ownStanding(this.#place)
    if (standing !== undefined) this.send(peer, standing)
    for (const number of this.#numbers()) this.#rounds.get(number)!.repeatTo(peer)
  }

  #forget(peer: string): void {
    this.#following.delete(peer)
    this.#positions.forget(peer)
  }

  #receive(from: string, message: Message, inspection: Inspection | undefined): void {
    if (message.kind === 'Leave') {
      this.#left.add(from)
      this.#forget(from)
    } else if (message.kind === 'Follow') {
      this.#following.add(from)
      this.#positions.forget(from)
    } else {
      this.#notePosition(from, message)
      const reason = this.#roundFor(message.round)?.receive(from, message, inspection)
      if (reason !== undefined) this.refuse(from, `${message.kind} of round ${message.round}: ${reason}`)
    }
  }

  #notePosition(from: string, message: RoundMessage): void {
    if (message.kind !== 'Hold' && message.kind !== 'Commit') return
    this.#following.delete(from)
    if (from !== this.self) this.#positions.note(from, message.round, message.root)
  }

  /** The round's record, begun if the round is one that matters. */
  #roundFor(number: number): Duties | undefined {
    const known = this.#rounds.get(number)
    if (known !== undefined) return known
    if (this.#place !== undefined && (number < this.#place || number > this.#place + 1)) return undefined
    const duties = new Duties(number, this)
    this.#rounds.set(number, duties)
    this.#prune()
    return this.#rounds.get(number)
  }

  #prune(): void {
    const numbers = this.#numbers()
    const oldest = this.#place === undefined ? numbers.at(-roundsFollowed) : this.#place - roundsKept
    for (const number of numbers) {
      const isFuture = this.#place !== undefined && number > this.#place + 1
      if (number < (oldest ?? 0) || isFuture) this.#rounds.delete(number)
    }
  }

  /** Lets the round's roles act, and moves on when it is committed. Later rounds wait for this one. */
  #advance(number: number): void {
    const duties = this.#rounds.get(number)
    if (duties === undefined || (this.#place !== undefined && number > this.#place)) return
    const wasCommitted = duties.round.committed !== undefined
    duties.advance()
    if (duties.round.committed === undefined) return
    if (!wasCommitted) this.#reconsiderVote(number + 1)
    if (number !== this.#place) return
    this.#place = number + 1
    this.#isWaiting = false
    duties.reducing.release()
    this.#prune()
  }

  #judge(): void {
    const base = this.#waitingBase()
    if (base === undefined) return
    const { progressAtMs } = this.#rounds.get(base.round)!.round
    const ahead = this.#positions.judge(base, progressAtMs, this.#nowMs, this.init.timing.behindMs)
    if (ahead !== undefined) this.#becomeBehind(ahead)
  }

  #becomeBehind(ahead: { round: number; root: string; peers: string[] }): void {
    this.#place = undefined
    this.#isWaiting = false
    this.emit({ kind: 'Behind', ...ahead })
  }

  /** The base of the round that this peer waits in. */
  #waitingBase(): RoundBase | undefined {
    if (!this.#isWaiting || this.#place === undefined) return undefined
    return this.#rounds.get(this.#place)?.round.base
  }

  #setTimer(): void {
    let dueMs = Number.POSITIVE_INFINITY
    for (const [number, duties] of this.#rounds) {
      if (this.#place === undefined || number <= this.#place) dueMs = Math.min(dueMs, duties.dueMs())
    }
    const base = this.#waitingBase()
    if (base !== undefined) {
      const { progressAtMs } = this.#rounds.get(base.round)!.round
      dueMs = Math.min(dueMs, this.#positions.dueMs(progressAtMs, this.init.timing.behindMs))
    }
    if (dueMs === this.#wakeMs || dueMs === Number.POSITIVE_INFINITY) return
    this.#wakeMs = dueMs
    this.#effects.push({ kind: 'SetTimer', delayMs: Math.max(1, Math.ceil(dueMs - this.#nowMs)) })
  }

  #numbers(): number[] {
    return [...this.#rounds.keys()].sort((a, b) => a - b)
  }

  /** What an executor would find out about a message of this peer to itself. */
  #inspectOwn(message: Message): Inspection | undefined {
    if (message.kind !== 'Part') return undefined
    const digest = this.#rounds.get(message.round)?.round.own?.digests[message.part]
    return digest === undefined ? undefined : { digest, isDecodable: true }
  }
}
