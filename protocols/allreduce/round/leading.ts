/**
 * A peer as leader of an attempt; whose turn it is stands in `succession.ts`.
 *
 *     attempt 0 of an electorate ───────────────────────┐
 *     every other: preparing ──quorum of promises──┬────▶ gathering ──freeze──▶ reducing ──all results──▶ sealed
 *                                                  ├─ a plan is known ────────────▲                         ▲
 *                                                  └─ a seal was accepted ──────────────────────────────────┘
 *
 * A leader proposes one seal in one ballot. A later one must propose the seal of the highest ballot that its promises tell
 * of, for that may be decided already. A reducer that is gone, or delivers nothing for `reduceMs`, loses its unfinished parts.
 */

import { type Ballot, compareBallots, compareText, isQuorum } from '../plan/electorate.ts'
import { hasBit } from '../plan/parts.ts'
import { finishersOf, type Plan, partCountOf, reducersOf } from '../plan/plan.ts'
import { planIdOf } from '../plan/plan-codec.ts'
import type { SealContent } from '../plan/seal.ts'
import { committers, contributorsHere, isOfMajority } from './freeze.ts'
import type { Gathering } from './gathering.ts'
import type { BallotPlan, Round } from './round.ts'
import type { Role, Session } from './session.ts'
import type { Succession } from './succession.ts'
import { partTimeoutMs } from './timeouts.ts'
import {
  type Lacking,
  type Prepare,
  type PromiseMade,
  planMessage,
  type Reassign,
  sealMessage,
} from './vocabulary.ts'
import type { Voting } from './voting.ts'

interface Lead {
  ballot: Ballot
  phase: 'preparing' | 'gathering' | 'reducing' | 'sealed'
  /** Undefined in a ballot that needs no promises. */
  prepare: Prepare | undefined
  promises: Map<string, PromiseMade>
}

export class Leading implements Role {
  readonly #round: Round
  readonly #session: Session
  readonly #voting: Voting
  readonly #succession: Succession
  readonly #gathering: Gathering
  /** Part → finishers that are gone, as its reducers say. Asked again when nothing comes from anyone. */
  readonly #lost = new Map<number, Set<string>>()
  #lead: Lead | undefined
  #resultCount = 0
  #resultAtMs = 0
  #freezeMs = Number.POSITIVE_INFINITY

  constructor(round: Round, session: Session, succession: Succession, voting: Voting, gathering: Gathering) {
    this.#round = round
    this.#session = session
    this.#succession = succession
    this.#voting = voting
    this.#gathering = gathering
  }

  advance(): void {
    const round = this.#round
    if (round.base === undefined || round.committed !== undefined) return
    this.#freezeMs = round.plan === undefined ? this.#gathering.freezeMs() : Number.POSITIVE_INFINITY
    if (this.#session.nowMs >= this.#succession.dueMs(this.#freezeMs)) this.#giveUpOnLeader()
    const isOutbid = this.#lead !== undefined && compareBallots(this.#lead.ballot, round.promised) < 0
    if (isOutbid) this.#lead = undefined
    const turn = this.#lead === undefined && this.#voting.canVote() ? this.#succession.ownTurn() : undefined
    if (turn !== undefined) this.#begin(turn)
    if (this.#lead !== undefined) this.#act(this.#lead)
  }

  dueMs(): number {
    const { base, committed } = this.#round
    if (base === undefined || committed !== undefined) return Number.POSITIVE_INFINITY
    return Math.min(this.#succession.dueMs(this.#freezeMs), this.#freezeDueMs(), this.#reduceDueMs())
  }

  /** Phase 1 answer. Returns why it is refused, if it is. */
  promise(from: string, message: PromiseMade): string | undefined {
    const lead = this.#lead
    if (lead === undefined || compareBallots(message.ballot, lead.ballot) !== 0) return undefined
    if (this.#round.isFounding && this.#isReborn(from)) return 'a promise of a restarted founder'
    const plans = [message.accepted?.plan, message.plan?.plan].filter((plan) => plan !== undefined)
    if (!plans.every((plan) => this.#round.isOfBase(plan))) return 'a promise with a plan of another state'
    lead.promises.set(from, message)
    this.#round.progressAtMs = this.#session.nowMs
    return undefined
  }

  /** After a broken link: what this leader said last. */
  repeatTo(peer: string): void {
    const { plan, seal, number: round } = this.#round
    const lead = this.#lead
    if (lead === undefined) return
    const { ballot, prepare } = lead
    const isAsking = lead.phase === 'preparing' || (lead.phase === 'gathering' && this.#round.isFounding)
    if (isAsking && prepare !== undefined) this.#session.send(peer, prepare)
    if (plan !== undefined && compareBallots(plan.ballot, ballot) === 0)
      this.#session.send(peer, planMessage(round, plan))
    if (seal !== undefined && compareBallots(seal.ballot, ballot) === 0)
      this.#session.send(peer, sealMessage(round, seal))
  }

  /** A reducer that waits for a mean lost its finisher. */
  lacking(from: string, { planId, part }: Lacking): void {
    const plan = this.#round.plan
    if (plan?.planId !== planId || !reducersOf(plan.plan, part).includes(from)) return
    const finisher = this.#round.finisher(part)
    if (finisher === undefined) return
    const lost = this.#lost.get(part) ?? new Set<string>()
    this.#lost.set(part, lost.add(finisher))
  }

  /** Only the first ballot of an electorate needs no promises: nothing lower can have been accepted. */
  #begin(ballot: Ballot): void {
    const { number: round, isFounding } = this.#round
    const isFirst = ballot.attempt === 0 && !isFounding
    const prepare = isFirst
      ? undefined
      : this.#session.signed<Prepare>(this.#round, { kind: 'Prepare', round, ballot })
    this.#lead = { ballot, phase: isFirst ? 'gathering' : 'preparing', prepare, promises: new Map() }
    this.#session.emit({ kind: 'Progress', round, phase: 'gathering' })
    this.#round.promised = ballot
    this.#session.pledge(this.#round) // or its next life might propose something else in this ballot
    if (prepare !== undefined) this.#session.broadcast(prepare)
  }

  #giveUpOnLeader(): void {
    if (this.#succession.current()?.leader === this.#session.self) this.#lead = undefined
    this.#succession.suspectLeader()
  }

  #act(lead: Lead): void {
    if (lead.phase === 'preparing' && this.#isPromised(lead)) this.#takeOver(lead)
    if (
      lead.phase === 'gathering' &&
      this.#session.nowMs >= this.#freezeMs &&
      this.#hasPromisesOfPlan(lead)
    ) {
      const plan = this.#gathering.plan()
      if (plan.contributors.length > 0 && isOfMajority(plan)) this.#propose(lead, plan)
    }
    if (lead.phase === 'reducing') this.#watchReducers(lead)
  }

  #isPromised(lead: Lead): boolean {
    const { order, survivors, isFounding } = this.#round
    if (!isFounding) {
      return isQuorum(survivors ? order.filter((peer) => survivors.has(peer)) : order, lead.promises.keys())
    }
    const here = committers(this.#round, this.#session).filter((peer) => !this.#isReborn(peer))
    const isEnough = lead.promises.size >= this.#session.init.peersMin || survivors !== undefined
    return isEnough && here.every((peer) => lead.promises.has(peer) || this.#succession.isSuspect(peer))
  }

  /** In a founding round a new plan counts on its contributors' votes, so each must have promised. */
  #hasPromisesOfPlan(lead: Lead): boolean {
    if (!this.#round.isFounding) return true
    const here = committers(this.#round, this.#session).filter((peer) => !this.#isReborn(peer))
    return here.every((peer) => lead.promises.has(peer))
  }

  #isReborn(peer: string): boolean {
    return this.#round.standings.get(peer)?.isReborn ?? false
  }

  /** A quorum promised: go on from the furthest point that one of them knows. */
  #takeOver(lead: Lead): void {
    const { number: round } = this.#round
    const promises = [...lead.promises.values()]
    const accepted = highest(promises.map((promise) => promise.accepted))
    if (accepted !== undefined) {
      this.#propose(lead, accepted.plan)
      this.#seal(lead, this.#round.plan!.planId, accepted)
      return
    }
    const known = highest([this.#round.plan, ...promises.map((promise) => promise.plan)])
    if (known === undefined || !this.#canContinue(known.plan)) {
      lead.phase = 'gathering'
      this.#round.plan = undefined
      this.#gathering.look()
      this.#freezeMs = this.#gathering.freezeMs()
      return
    }
    this.#propose(lead, known.plan)
    const { planId } = this.#round.plan!
    for (let part = 0; part < partCountOf(known.plan); part++) {
      const holder = [...lead.promises].find(
        ([, promise]) => isSamePlan(promise, known) && hasBit(promise.have, part),
      )
      if (holder === undefined || this.#round.results.has(planId, part)) continue
      this.#round.asked.add(part)
      this.#session.send(holder[0], { kind: 'Want', round, planId, part, digest: undefined })
    }
  }

  /** Somebody is left that contributes to `plan`, and in a founding round enough to decide on it. */
  #canContinue(plan: Plan): boolean {
    if (!this.#round.isOfBase(plan)) return false
    const here = contributorsHere(this.#round, this.#session, plan)
    if (!this.#round.isFounding) return here.length > 0
    return this.#round.isDecidedBy(plan, new Set(here), this.#session.init.peersMin)
  }

  #propose(lead: Lead, plan: Plan): void {
    const { number: round } = this.#round
    const planId = planIdOf(plan, this.#session.init.hash)
    const message = this.#session.signed(this.#round, planMessage(round, { ballot: lead.ballot, plan }))
    this.#round.adopt({ ballot: lead.ballot, planId, plan, signature: message.signature })
    this.#round.progressAtMs = this.#session.nowMs
    this.#resultAtMs = this.#session.nowMs
    lead.phase = 'reducing'
    this.#session.broadcast(message)
    this.#session.emit({ kind: 'Progress', round, phase: 'reducing' })
  }

  #seal(lead: Lead, planId: string, { digests, absent }: SealContent): void {
    lead.phase = 'sealed'
    const seal = sealMessage(this.#round.number, { ballot: lead.ballot, planId, digests, absent })
    this.#session.broadcast(this.#session.signed(this.#round, seal))
  }

  /** The plan's peers that are gone, go, or came back and do not remember what they promised, as far as this peer is linked with them. */
  #absent(plan: Plan): string[] {
    const staying = [...plan.contributors, ...plan.receivers].filter(({ peer }) => {
      return this.#session.isLive(peer) && !this.#session.isLeaving(peer)
    })
    // Should all go, the run can be continued only by one of them that changes its mind.
    return this.#missing(plan, (peer) => staying.length > 0 && this.#session.isLeaving(peer))
  }

  #missing(plan: Plan, isGoing: (peer: string) => boolean): string[] {
    const { standings, isFounding } = this.#round
    const isRemembering = (peer: string): boolean => !isFounding && (standings.get(peer)?.isVoter ?? false)
    const isHere = (peer: string): boolean =>
      this.#session.isLive(peer) && !this.#session.isFollowing(peer) && !isGoing(peer)
    const receiving = plan.receivers.filter(({ peer, incarnation }) => {
      return !isHere(peer) || (standings.get(peer)?.incarnation !== incarnation && !isRemembering(peer))
    })
    const contributing = plan.contributors.filter(
      (contributor) =>
        !isHere(contributor.peer) ||
        !(this.#round.isPlannedLife(contributor) || isRemembering(contributor.peer)),
    )
    return [...contributing, ...receiving]
      .map(({ peer }) => peer)
      .filter((peer) => this.#canSee(peer))
      .sort(compareText)
  }

  /** This peer would be linked with `peer` if that were here. */
  #canSee(peer: string): boolean {
    const { grid } = this.#round
    const { self } = this.#session
    if (grid.rowCount === 1) return true
    return grid.areRowMates(self, peer) || grid.areColumnMates(self, peer)
  }

  #watchReducers(lead: Lead): void {
    const { results } = this.#round
    const current = this.#round.plan!
    const parts = Array.from({ length: partCountOf(current.plan) }, (_, part) => part)
    const count = results.count(current.planId)
    if (count === parts.length) {
      const digests = parts.map((part) => results.get(current.planId, part)!.digest)
      const absent = this.#absent(current.plan)
      const { contributors, receivers } = current.plan
      if (absent.length < contributors.length + receivers.length && this.#succession.isQuorumPossible())
        this.#seal(lead, current.planId, { digests, absent })
      return
    }
    if (count !== this.#resultCount) this.#resultAtMs = this.#session.nowMs
    this.#resultCount = count
    const isOverdue = this.#session.nowMs >= this.#reduceDueMs()
    const missing = parts.filter((part) => !results.has(current.planId, part))
    const here = new Set(contributorsHere(this.#round, this.#session, current.plan))
    if (isOverdue) this.#lost.clear()
    const orphans = missing.filter(
      (part) => isOverdue || this.#isGone(part, this.#round.finisher(part)!, here),
    )
    const successors = new Map(orphans.map((part) => [part, this.#successorOf(current.plan, part, here)]))
    this.#reassign(lead, current, successors)
    if (isOverdue) this.#resultAtMs = this.#session.nowMs
  }

  /** Nothing of `part` can be expected of `finisher`. */
  #isGone(part: number, finisher: string, here: ReadonlySet<string>): boolean {
    if (this.#lost.get(part)?.has(finisher)) return true
    const { plan } = this.#round.plan!
    const contributes = plan.contributors.some(({ peer }) => peer === finisher)
    return this.#canSee(finisher) && !(contributes ? here.has(finisher) : this.#session.isLive(finisher))
  }

  /** Gives each part to its successor, if it has one. */
  #reassign(lead: Lead, { planId }: BallotPlan, successors: ReadonlyMap<number, string | undefined>): void {
    const byReducer = new Map<string, number[]>()
    for (const [part, reducer] of successors)
      if (reducer !== undefined) byReducer.set(reducer, [...(byReducer.get(reducer) ?? []), part])
    const { number: round } = this.#round
    const { ballot } = lead
    for (const [reducer, parts] of byReducer) {
      this.#resultAtMs = this.#session.nowMs
      const message: Reassign = { kind: 'Reassign', round, ballot, planId, parts, reducer }
      this.#session.broadcast(this.#session.signed(this.#round, message))
    }
  }

  /** With one row any contributor that is here; with several another row's reducer of the part, which has a sum of it. Never one that is gone. */
  #successorOf(plan: Plan, part: number, here: ReadonlySet<string>): string | undefined {
    const finisher = this.#round.finisher(part)
    if (this.#round.grid.rowCount === 1) {
      const others = [...here].filter((peer) => peer !== finisher)
      return others[part % others.length]
    }
    const finishers = finishersOf(plan, part)
    const after = finishers.indexOf(finisher!) + 1
    const others = reducersOf(plan, part).filter((peer) => peer !== '' && !finishers.includes(peer))
    const inTurn = [...finishers.slice(after), ...finishers.slice(0, after), ...others]
    return inTurn.find((peer) => peer !== finisher && !this.#isGone(part, peer, here))
  }

  /** Only while time alone can bring the plan: otherwise a commit or a promise will. */
  #freezeDueMs(): number {
    return this.#freezeMs > this.#session.nowMs ? this.#freezeMs : Number.POSITIVE_INFINITY
  }

  #reduceDueMs(): number {
    const { plan } = this.#round
    if (this.#lead?.phase !== 'reducing' || plan === undefined) return Number.POSITIVE_INFINITY
    const { timing } = this.#session.init
    return this.#resultAtMs + timing.reduceMs + partTimeoutMs(this.#session, plan.plan)
  }
}

/** The entry of the highest ballot. */
function highest<T extends { ballot: Ballot }>(entries: readonly (T | undefined)[]): T | undefined {
  let best: T | undefined
  for (const entry of entries) {
    if (entry !== undefined && compareBallots(entry.ballot, best?.ballot) > 0) best = entry
  }
  return best
}

function isSamePlan(promise: PromiseMade, known: { ballot: Ballot }): boolean {
  return promise.plan !== undefined && compareBallots(promise.plan.ballot, known.ballot) === 0
}
