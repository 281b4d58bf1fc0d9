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

import type { RoundBase } from './base.ts'
import { Positions } from './behind.ts'
import { contactsOf } from './contacts.ts'
import { Duties } from './duties.ts'
import { compareText } from './electorate.ts'
import type { Effect, Event, Inspection, MachineInit, Outlook } from './events.ts'
import { committers } from './freeze.ts'
import { Grid } from './grid.ts'
import { Neighbours } from './neighbours.ts'
import { commitIdentity } from './parts.ts'
import { pendingReason } from './pending.ts'
import type { Reach } from './plan.ts'
import type { Round } from './round.ts'
import { Rounds } from './rounds.ts'
import type { Session } from './session.ts'
import type { Commit, Hold, Message, RoundMessage } from './vocabulary.ts'

interface LocalMessage {
  message: Message
  inspection: Inspection | undefined
}

export class AllreduceMachine implements Session {
  readonly self: string
  readonly init: MachineInit
  readonly #rounds = new Rounds((number) => new Duties(number, this))
  readonly #neighbours: Neighbours
  readonly #following = new Set<string>()
  readonly #positions = new Positions()
  #reach: Reach = { bandwidth: undefined, place: undefined }
  /** Peers of the run; undefined: links are nobody's business here. */
  #known: readonly string[] | undefined
  /** What the wanted links were derived from. */
  #contactsOf: { known: readonly string[]; root: string | undefined; planId: string | undefined } | undefined
  /** The run holds the state of its place, so it is told when it falls behind. */
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
    this.#neighbours = new Neighbours(init.timing.linkMs)
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
    this.#setContacts()
    do {
      for (let next = this.#local.shift(); next !== undefined; next = this.#local.shift()) {
        this.#receive(this.self, next.message, next.inspection)
      }
      for (const duties of this.#rounds.active()) this.#advance(duties)
    } while (this.#local.length > 0)
    this.#judge()
    this.#setContacts()
    this.#setTimer()
    return this.#effects
  }

  /** What the peer waits for, in words, for people and for the simulator's liveness check. */
  pending(): string {
    const { place, current } = this.#rounds
    if (this.#isGone) return 'gone'
    if (place === undefined) return this.#isFollowing ? 'following until the state is here' : 'no state yet'
    if (current?.round.base === undefined) return `round ${place}: the state is not here yet`
    return `round ${place}: ${pendingReason(current, this)}`
  }

  /** Who is here now, and who of them has committed. */
  outlook(): Outlook {
    const round = this.#rounds.current?.round
    const live = [this.self, ...this.livePeers()].sort(compareText)
    return { live, committed: round?.base === undefined ? [] : committers(round, this) }
  }

  isLive(peer: string): boolean {
    return peer === this.self || this.#neighbours.isLive(peer)
  }

  isExpected(peer: string): boolean {
    return this.#neighbours.isExpected(peer, this.#nowMs)
  }

  livePeers(): readonly string[] {
    return this.#neighbours.live
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
        this.#rounds.place = undefined
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
        this.#neighbours.linkDown(event.peer)
        return
      case 'MessageReceived':
        if (this.#neighbours.isUp(event.from)) this.#receive(event.from, event.message, event.inspection)
        else this.refuse(event.from, 'a message without a link')
        return
      case 'PartReduced':
        this.#rounds.get(event.round)?.reducing.reduced(event)
        return
      case 'PartFinished':
        this.#rounds.get(event.round)?.finishing.finished(event)
        return
      case 'ReachMeasured':
        this.#reach = { bandwidth: event.bandwidth, place: event.place }
        return
      case 'PeersKnown':
        this.#known = event.peers
        return
      case 'TimerFired':
        this.#wakeMs = Number.POSITIVE_INFINITY
    }
  }

  /** Comes to the round of `base`; undefined when it is over already, and then the answer was given. */
  #enter(base: RoundBase): Duties | undefined {
    const { place } = this.#rounds
    if (place !== undefined && base.round < place) {
      this.#answerLate(base)
      return undefined
    }
    this.#isFollowing = false
    this.#isWaiting = true
    this.#rounds.place = base.round
    const duties = this.#recordOf(base)
    if (duties.round.base === undefined) this.#begin(duties, base)
    if (duties.round.committed === undefined) return duties
    this.emit({ kind: 'Committed', outcome: duties.round.committed })
    return undefined
  }

  /** The record of the round, or a new one when it is about another state: what the others said of themselves stays true. */
  #recordOf({ round: number, root }: RoundBase): Duties {
    const known = this.#rounds.open(number)!
    const knownRoot = known.round.base?.root ?? known.round.committed?.root ?? root
    if (knownRoot === root) return known
    const duties = new Duties(number, this)
    for (const [peer, standing] of known.round.standings) {
      if (peer !== this.self) duties.round.standings.set(peer, standing)
    }
    duties.round.isDisowned = known.round.base !== undefined
    this.#rounds.replace(duties)
    return duties
  }

  #begin({ round }: Duties, base: RoundBase): void {
    round.begin(base, this.#nowMs, this.#isVoterIn(base) && !round.isDisowned)
    const { isVoter } = round
    const { incarnation } = this.init
    this.broadcast({ kind: 'Hold', round: base.round, root: base.root, incarnation, isVoter, ...this.#reach })
  }

  /** The run asks for a round that this machine has left behind: it may still know the outcome. */
  #answerLate(base: RoundBase): void {
    const committed = this.#rounds.get(base.round)?.round.committed
    if (committed !== undefined && committed.root === base.root) {
      this.emit({ kind: 'Committed', outcome: committed })
      return
    }
    const ahead = this.#positions.judge(base, this.#nowMs, this.#nowMs, 0)
    this.#becomeBehind(ahead ?? { round: base.round, root: base.root, peers: [] })
  }

  #update(event: Extract<Event, { kind: 'UpdateReady' }>): void {
    const duties = this.#enter(event.base)
    if (duties === undefined || duties.round.own !== undefined) return
    const { weight, pace, parts, digests } = event
    const { incarnation } = this.init
    const commit = this.init.hash(commitIdentity({ incarnation, weight, digests }))
    duties.round.own = { weight, parts, digests, commit }
    const { isVoter } = duties.round
    const { round, root } = event.base
    this.#commit(duties, {
      kind: 'Commit',
      round,
      root,
      incarnation,
      isVoter,
      ...this.#reach,
      weight,
      pace,
      digests,
    })
  }

  /** What a peer gives concerns its row; all others were told that it holds the state. */
  #commit({ round }: Duties, commit: Commit): void {
    for (const peer of this.livePeers()) if (this.#isOfRow(round, peer)) this.send(peer, commit)
    this.send(this.self, commit)
  }

  #joinAsReceiver(base: RoundBase): void {
    const duties = this.#enter(base)
    if (duties === undefined || duties.round.own !== undefined) return
    const { incarnation } = this.init
    const { round, root } = base
    const { isVoter } = duties.round
    const nothing = { ...this.#reach, weight: 0, digests: [] }
    this.#commit(duties, { kind: 'Commit', round, root, incarnation, isVoter, ...nothing })
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
    if (round?.base === undefined || round.isVoter || round.isDisowned || !this.#isVoterIn(round.base)) return
    round.isVoter = true
    for (const peer of [...this.livePeers(), this.self]) {
      const standing = this.#ownStanding(number, peer)
      if (standing !== undefined) this.send(peer, standing)
    }
  }

  /** What this peer says about itself in a round: its commit to its row, to others that it holds the state. */
  #ownStanding(number: number, to: string): Hold | Commit | undefined {
    const round = this.#rounds.get(number)?.round
    const commit = round?.standings.get(this.self)?.commit
    if (round === undefined || commit === undefined || !this.#isOfRow(round, to)) return this.#ownHold(number)
    return { ...commit.message, isVoter: round.isVoter }
  }

  #ownHold(number: number): Hold | undefined {
    const round = this.#rounds.get(number)?.round
    const own = round?.standings.get(this.self)
    if (round === undefined || own === undefined) return undefined
    const { root, incarnation, bandwidth, place } = own
    const { isVoter } = round
    return { kind: 'Hold', round: number, root, incarnation, isVoter, bandwidth, place }
  }

  /** What this peer gives concerns `peer`: they are of one row, or this one is a guest, whose links are all with one row. */
  #isOfRow({ grid }: Round, peer: string): boolean {
    return (
      grid.rowCount === 1 ||
      !grid.isMember(this.self) ||
      peer === this.self ||
      grid.areRowMates(this.self, peer)
    )
  }

  #linkUp(peer: string): void {
    this.#neighbours.linkUp(peer)
    if (this.#isFollowing) this.send(peer, { kind: 'Follow' })
    const { place } = this.#rounds
    const standing = place === undefined ? undefined : this.#ownStanding(place, peer)
    if (standing !== undefined) this.send(peer, standing)
    for (const number of this.#rounds.numbers()) this.#rounds.get(number)!.repeatTo(peer)
  }

  #forget(peer: string): void {
    this.#following.delete(peer)
    this.#positions.forget(peer)
  }

  #receive(from: string, message: Message, inspection: Inspection | undefined): void {
    if (message.kind === 'Leave') {
      this.#neighbours.leave(from)
      this.#forget(from)
    } else if (message.kind === 'Follow') {
      this.#following.add(from)
      this.#positions.forget(from)
    } else {
      this.#notePosition(from, message)
      const reason = this.#rounds.open(message.round)?.receive(from, message, inspection)
      if (reason !== undefined) this.refuse(from, `${message.kind} of round ${message.round}: ${reason}`)
    }
  }

  #notePosition(from: string, message: RoundMessage): void {
    if (message.kind !== 'Hold' && message.kind !== 'Commit') return
    this.#following.delete(from)
    if (from === this.self) return
    this.#positions.note(from, message.round, message.root)
    this.#askAhead(from, message.round)
  }

  /** In a grid a decision can pass a peer by: a mate that is in a later round knows it, and tells whoever says where it stands. */
  #askAhead(peer: string, round: number): void {
    const { place, current } = this.#rounds
    if (place === undefined || round <= place || current === undefined || current.round.grid.rowCount === 1)
      return
    const standing = this.#ownHold(place)
    if (standing !== undefined) this.send(peer, standing)
  }

  /** Lets the round's roles act, and moves on when it is committed. */
  #advance(duties: Duties): void {
    const { round } = duties
    const wasCommitted = round.committed !== undefined
    duties.advance()
    if (round.committed === undefined) return
    if (!wasCommitted) this.#reconsiderVote(round.number + 1)
    if (round.number !== this.#rounds.place) return
    this.#rounds.place = round.number + 1
    this.#isWaiting = false
    duties.reducing.release()
    duties.finishing.release()
  }

  #judge(): void {
    const base = this.#waitingBase()
    if (base === undefined) return
    const { progressAtMs } = this.#rounds.get(base.round)!.round
    const ahead = this.#positions.judge(base, progressAtMs, this.#nowMs, this.init.timing.behindMs)
    if (ahead !== undefined) this.#becomeBehind(ahead)
  }

  #becomeBehind(ahead: { round: number; root: string; peers: string[] }): void {
    this.#rounds.place = undefined
    this.#isWaiting = false
    this.emit({ kind: 'Behind', ...ahead })
  }

  /** Asks for other links when the round, its plan or the peers that are known call for them. */
  #setContacts(): void {
    const known = this.#known
    if (known === undefined) return
    const round = this.#rounds.current?.round ?? this.#lastRound()
    const root = round?.base?.root
    const planId = round?.plan?.planId
    const last = this.#contactsOf
    if (last !== undefined && last.known === known && last.root === root && last.planId === planId) return
    this.#contactsOf = { known, root, planId }
    const contacts = contactsOf({
      self: this.self,
      root,
      grid: round?.grid ?? new Grid('', []),
      plan: round?.plan?.plan,
      known,
      rowBefore: round !== undefined && this.#isRowNeeded(round) ? this.#neighbours.wanted : [],
    })
    if (this.#neighbours.want(contacts, this.#nowMs)) this.emit({ kind: 'Link', peers: contacts })
  }

  /** The first round of a grid has no plan yet, so somebody may still be at the end of the single row's last one. */
  #isRowNeeded({ number, grid, plan }: Round): boolean {
    if (grid.rowCount === 1 || plan !== undefined) return false
    return this.#rounds.get(number - 1)?.round.grid.rowCount === 1
  }

  /** The round that was committed last: its links are kept until the next one's base is here. */
  #lastRound(): Duties['round'] | undefined {
    const { place } = this.#rounds
    return place === undefined ? undefined : this.#rounds.get(place - 1)?.round
  }

  /** The base of the round that this peer waits in. */
  #waitingBase(): RoundBase | undefined {
    return this.#isWaiting ? this.#rounds.current?.round.base : undefined
  }

  #setTimer(): void {
    let dueMs = this.#neighbours.dueMs(this.#nowMs)
    for (const duties of this.#rounds.active()) dueMs = Math.min(dueMs, duties.dueMs())
    const base = this.#waitingBase()
    if (base !== undefined) {
      const { progressAtMs } = this.#rounds.get(base.round)!.round
      dueMs = Math.min(dueMs, this.#positions.dueMs(progressAtMs, this.init.timing.behindMs))
    }
    if (dueMs === this.#wakeMs || dueMs === Number.POSITIVE_INFINITY) return
    this.#wakeMs = dueMs
    this.#effects.push({ kind: 'SetTimer', delayMs: Math.max(1, Math.ceil(dueMs - this.#nowMs)) })
  }

  /** What an executor would find out about a message of this peer to itself. */
  #inspectOwn(message: Message): Inspection | undefined {
    if (message.kind !== 'Part') return undefined
    const digest = this.#rounds.get(message.round)?.round.own?.digests[message.part]
    return digest === undefined ? undefined : { digest, isDecodable: true }
  }
}
