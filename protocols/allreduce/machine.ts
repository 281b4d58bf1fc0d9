/**
 * The allreduce of one run, as one peer takes part in it: `step(event) → effects`, pure but for its own memory.
 *
 *     following ──────────┐                        no state yet; learns what every round came to
 *                         ▼
 *     between rounds ──StateReady──▶ waiting ──UpdateReady / JoinAsReceiver──▶ in the round ──Committed──▶ between rounds
 *                         ▲                                                       │
 *                         └───────────────────── Behind ◀─────────────────────────┘
 *
 * A round goes Commit → Plan → Part → Result → Seal → Accepted; docs/protocols.md tells the story, `voting`, `learning`
 * and `leading` hold the agreement, `reducing` the data. This file keeps the rounds that matter now (two committed
 * ones, to serve peers that missed their end, the current one, and two later ones), the links, and the clock of the
 * waits.
 */

import { assert } from '../core/assert.ts'
import { Contacts } from './peer/contacts.ts'
import { Departure } from './peer/departure.ts'
import { Entrance } from './peer/entrance.ts'
import { KeepingUp } from './peer/keeping-up.ts'
import { Neighbours } from './peer/neighbours.ts'
import { Positions } from './peer/positions.ts'
import { Presence } from './peer/presence.ts'
import { Rounds } from './peer/rounds.ts'
import { compareText } from './plan/electorate.ts'
import { Duties } from './round/duties.ts'
import type { Effect, Event, Inspection, MachineInit, Outlook } from './round/events.ts'
import { committers } from './round/freeze.ts'
import { type Mandate, Mandates } from './round/mandates.ts'
import { pendingReason } from './round/pending.ts'
import { Pledges } from './round/pledges.ts'
import type { Round } from './round/round.ts'
import type { Session } from './round/session.ts'
import { Signing } from './round/signing.ts'
import type { Message, Word } from './round/vocabulary.ts'

/**
 * Times that a peer's own words may lead it to say more within one step. Three were the most in six seeds of heavy
 * churn; roles that answer each other for ever would hold up a whole process, and are to be seen.
 */
const turnsMax = 32

interface LocalMessage {
  message: Message
  inspection: Inspection | undefined
}

export class AllreduceMachine implements Session {
  readonly self: string
  readonly init: MachineInit
  readonly #positions = new Positions()
  readonly #rounds = new Rounds(
    (number) => new Duties(number, this),
    () => this.#positions.reached,
  )
  readonly #neighbours: Neighbours
  readonly #contacts: Contacts
  readonly #pledges: Pledges
  readonly #presence: Presence
  readonly #signing: Signing
  readonly #keepingUp: KeepingUp
  readonly #entrance: Entrance
  readonly #mandates = new Mandates()
  readonly #departure = new Departure(this, this.#rounds)
  #isGone = false
  #nowMs = 0
  #wakeMs = Number.POSITIVE_INFINITY
  #effects: Effect[] = []
  readonly #local: LocalMessage[] = []

  constructor(init: MachineInit) {
    this.init = init
    this.self = init.self
    this.#neighbours = new Neighbours(init.timing.linkMs)
    this.#contacts = new Contacts(init.self, this.#rounds, this.#neighbours, this.#positions)
    this.#pledges = new Pledges(init.recalled)
    this.#signing = new Signing(init)
    this.#presence = new Presence(this, this.#rounds, this.#pledges)
    this.#keepingUp = new KeepingUp(this, this.#rounds, this.#positions, this.#presence)
    this.#entrance = new Entrance(this, this.#rounds, this.#presence, this.#pledges, this.#keepingUp)
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
    let turns = 0
    do {
      assert(++turns <= turnsMax, `${this.self} goes round in circles over ${event.kind}`)
      for (let next = this.#local.shift(); next !== undefined; next = this.#local.shift()) {
        this.#receive(this.self, next.message, next.inspection)
      }
      for (const duties of this.#rounds.active()) this.#advance(duties)
    } while (this.#local.length > 0)
    this.#keepingUp.judge()
    if (this.#departure.isDue()) this.#go()
    else {
      this.#setContacts()
      this.#setTimer()
    }
    return this.#effects
  }

  /** What the peer waits for, in words, for people and for the simulator's liveness check. */
  pending(): string {
    const { place, current } = this.#rounds
    if (this.#isGone) return 'gone'
    if (place === undefined)
      return this.#entrance.isFollowing ? 'following until the state is here' : 'no state yet'
    if (current?.round.base === undefined) return `round ${place}: the state is not here yet`
    return `round ${place}: ${pendingReason(current, this)}`
  }

  /** Who is here now, and who of them has committed. */
  outlook(): Outlook {
    const round = this.#rounds.current?.round
    const live = [this.self, ...this.livePeers()].sort(compareText)
    return { live, committed: round?.base === undefined ? [] : committers(round, this) }
  }

  /** Where linked peers said last that they are, those that have a state. */
  get standings(): ReadonlyMap<string, { round: number; root: string }> {
    return this.#positions.all
  }

  isLive(peer: string): boolean {
    return peer === this.self || this.#neighbours.isLive(peer)
  }

  isLinked(peer: string): boolean {
    return peer === this.self || this.#neighbours.isLinked(peer)
  }

  quietMs(peer: string): number {
    return peer === this.self ? 0 : this.#neighbours.quietMs(peer, this.#nowMs)
  }

  isExpected(peer: string): boolean {
    return this.#neighbours.isExpected(peer, this.#nowMs)
  }

  livePeers(): readonly string[] {
    return this.#neighbours.live
  }

  linkedPeers(): readonly string[] {
    return this.#neighbours.linked
  }

  isFollowing(peer: string): boolean {
    return this.#positions.isFollowing(peer)
  }

  isBefore(peer: string, round: number): boolean {
    return this.#positions.isBefore(peer, round)
  }

  isLeaving(peer: string): boolean {
    return peer === this.self ? this.#departure.isBegun : this.#neighbours.isLeaving(peer)
  }

  speakerOf(member: string, round: number): string {
    return this.#mandates.speakerOf(member, round)
  }

  mandatesIn({ base, grid, survivors, number, standings }: Round): readonly [string, Mandate][] {
    if (base === undefined || grid.rowCount > 1 || survivors !== undefined) return []
    return this.#mandates.of(this.self, number).filter(([member, { incarnation }]) => {
      return (
        grid.isMember(member) &&
        this.#presence.isMembersLife(base, standings.get(member), member, incarnation)
      )
    })
  }

  signed<W extends Word>({ grid }: Round, word: W): W {
    return grid.rowCount > 1 ? this.#signing.sign(word) : word
  }

  isGenuine(speaker: string, word: Word): boolean {
    return this.#signing.isGenuine(speaker, word)
  }

  pledge(round: Round): void {
    const pledge = this.#pledges.next(round)
    if (pledge !== undefined) this.emit({ kind: 'Pledged', pledge })
  }

  send(to: string, message: Message): void {
    if (to === this.self) this.#local.push({ message, inspection: this.#inspectOwn(message) })
    else if (this.isLinked(to)) this.#effects.push({ kind: 'Send', to, message })
  }

  broadcast(message: Message): void {
    for (const peer of this.linkedPeers()) this.send(peer, message)
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
        this.#entrance.enter(event.base)
        return
      case 'UpdateReady':
        this.#entrance.give(event)
        return
      case 'JoinAsReceiver':
        this.#entrance.receive(event.base)
        return
      case 'FollowStarted':
        this.#entrance.follow()
        return
      case 'LeaveRequested':
        this.#departure.begin(event.withinMs)
        return
      case 'LinkUp':
        this.#linkUp(event.peer)
        return
      case 'LinkDown':
        this.#positions.forget(event.peer)
        this.#neighbours.linkDown(event.peer)
        return
      case 'LinkSilent':
        this.#neighbours.linkSilent(event.peer, this.#nowMs)
        return
      case 'LinkHeard':
        this.#neighbours.linkHeard(event.peer)
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
        this.#presence.reach = { bandwidth: event.bandwidth, place: event.place }
        return
      case 'PeersKnown':
        this.#contacts.known = event.peers
        return
      case 'TimerFired':
        this.#wakeMs = Number.POSITIVE_INFINITY
    }
  }

  #linkUp(peer: string): void {
    this.#neighbours.linkUp(peer)
    if (this.#entrance.isFollowing) this.send(peer, { kind: 'Follow' })
    if (this.#departure.isBegun) this.send(peer, { kind: 'Leaving' })
    const { place } = this.#rounds
    const standing = place === undefined ? undefined : this.#presence.standing(place, peer)
    if (standing !== undefined) this.send(peer, standing)
    for (const number of this.#rounds.numbers()) this.#rounds.get(number)!.repeatTo(peer)
  }

  #receive(from: string, message: Message, inspection: Inspection | undefined): void {
    if (message.kind === 'Leave') {
      this.#neighbours.leave(from)
      this.#positions.forget(from)
      const { mandate } = message
      if (mandate !== undefined && !this.#mandates.note(from, mandate, this.#rounds.place))
        this.refuse(from, `a mandate for round ${mandate.round}`)
    } else if (message.kind === 'Leaving') {
      this.#neighbours.announce(from)
    } else if (message.kind === 'Follow') {
      this.#positions.follow(from)
    } else {
      this.#keepingUp.note(from, message)
      const reason = this.#rounds.open(message.round)?.receive(from, message, inspection)
      if (reason !== undefined) this.refuse(from, `${message.kind} of round ${message.round}: ${reason}`)
    }
  }

  /** Lets the round's roles act, and moves on when it is committed. */
  #advance(duties: Duties): void {
    const { round } = duties
    const wasCommitted = round.committed !== undefined
    duties.advance()
    if (round.committed === undefined) return
    if (!wasCommitted) this.#presence.reconsiderVote(round.number + 1)
    if (round.number !== this.#rounds.place) return
    this.#rounds.place = round.number + 1
    this.#mandates.forgetAround(round.number)
    this.#keepingUp.isWaiting = false
    duties.reducing.release()
    duties.finishing.release()
  }

  #go(): void {
    const mandate = this.#departure.mandate()
    if (mandate !== undefined) this.emit({ kind: 'Pledged', pledge: undefined })
    for (const peer of this.linkedPeers()) this.send(peer, { kind: 'Leave', mandate })
    this.#isGone = true
    this.emit({ kind: 'Left' })
  }

  #setContacts(): void {
    const peers = this.#contacts.change(this.#nowMs)
    if (peers !== undefined) this.emit({ kind: 'Link', peers })
  }

  #setTimer(): void {
    let dueMs = Math.min(
      this.#departure.dueMs(),
      this.#neighbours.dueMs(this.#nowMs),
      this.#keepingUp.dueMs(),
    )
    for (const duties of this.#rounds.active()) dueMs = Math.min(dueMs, duties.dueMs())
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
