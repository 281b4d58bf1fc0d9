/**
 * A peer as leader of an attempt; whose turn it is stands in `succession.ts`.
 *
 *     attempt 0 of an electorate ───────────────────────┐
 *     every other: preparing ──quorum of promises──┬────▶ gathering ──freeze──▶ reducing ──all results──▶ sealed
 *                                                  ├─ a plan is known ────────────▲                         ▲
 *                                                  └─ a seal was accepted ──────────────────────────────────┘
 *
 * A leader proposes one seal in one ballot. A later one must propose the seal of the highest ballot that its promises
 * tell of, for that may be decided already. Who watches the reducers meanwhile is `overseeing.ts`, whom the seal names
 * as gone `absence.ts`.
 */

import { type Ballot, compareBallots, isQuorum } from '../plan/electorate.ts'
import { hasBit } from '../plan/parts.ts'
import { type Plan, partCountOf } from '../plan/plan.ts'
import { planIdOf } from '../plan/plan-codec.ts'
import type { SealContent } from '../plan/seal.ts'
import { absentFrom } from './absence.ts'
import { committers, contributorsHere, isOfMajority } from './freeze.ts'
import type { Gathering } from './gathering.ts'
import type { Overseeing } from './overseeing.ts'
import type { Round } from './round.ts'
import type { Role, Session } from './session.ts'
import type { Succession } from './succession.ts'
import { type Prepare, type PromiseMade, planMessage, sealMessage } from './vocabulary.ts'
import type { Voting } from './voting.ts'

/** The roles that a leader works with. */
export interface LeadingInit {
  succession: Succession
  voting: Voting
  gathering: Gathering
  overseeing: Overseeing
}

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
  readonly #overseeing: Overseeing
  #lead: Lead | undefined
  #freezeMs = Number.POSITIVE_INFINITY

  constructor(round: Round, session: Session, { succession, voting, gathering, overseeing }: LeadingInit) {
    this.#round = round
    this.#session = session
    this.#succession = succession
    this.#voting = voting
    this.#gathering = gathering
    this.#overseeing = overseeing
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
    else this.#succession.tellSuccessor()
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
    if (lead.phase === 'reducing') this.#reduce(lead)
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
      this.#round.asked.set(part, holder[0])
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
    this.#overseeing.begin()
    lead.phase = 'reducing'
    this.#session.broadcast(message)
    this.#session.emit({ kind: 'Progress', round, phase: 'reducing' })
  }

  #seal(lead: Lead, planId: string, { digests, absent }: SealContent): void {
    lead.phase = 'sealed'
    const seal = sealMessage(this.#round.number, { ballot: lead.ballot, planId, digests, absent })
    this.#session.broadcast(this.#session.signed(this.#round, seal))
  }

  #reduce(lead: Lead): void {
    const { planId, plan } = this.#round.plan!
    const digests = this.#overseeing.digests()
    if (digests === undefined) {
      this.#overseeing.watch(lead.ballot)
      return
    }
    const absent = absentFrom(plan, this.#round, this.#session)
    const isAnyoneLeft = absent.length < plan.contributors.length + plan.receivers.length
    if (isAnyoneLeft && this.#succession.isQuorumPossible()) this.#seal(lead, planId, { digests, absent })
  }

  /** Only while time alone can bring the plan: otherwise a commit or a promise will. */
  #freezeDueMs(): number {
    return this.#freezeMs > this.#session.nowMs ? this.#freezeMs : Number.POSITIVE_INFINITY
  }

  /** Only while its plan is being reduced. */
  #reduceDueMs(): number {
    return this.#lead?.phase === 'reducing' ? this.#overseeing.dueMs() : Number.POSITIVE_INFINITY
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
