/**
 * A peer as acceptor of the round's one decision (single-decree Paxos, Lamport 2001); as learner: `learning.ts`.
 *
 *     Prepare(b)   b at least what was promised           → promise b, answer with what was accepted
 *     Seal(b, v)   b at least what was promised, and all
 *                  bytes of v are here                    → accept (b, v), tell everyone
 *
 * A member that left votes through its deputy (`mandates.ts`). A peer accepts only what it could serve, so a decided
 * seal never lacks its bytes. What binds an acceptor is pledged before it is said (`pledges.ts`): a member that
 * restarts with its disk is the same acceptor. One that lost it does not vote until a plan names its new life.
 */

import { attemptsAheadMax } from '../../core/limits.ts'
import { type Ballot, compareBallots, isLegalBallot } from '../plan/electorate.ts'
import { newBitmap, setBit } from '../plan/parts.ts'
import { type Plan, partCountOf } from '../plan/plan.ts'
import { planIdOf } from '../plan/plan-codec.ts'
import { directoryOf } from '../plan/plan-directory.ts'
import { type SealContent, sealFault, sealIdentity } from '../plan/seal.ts'
import { isOfMajority } from './freeze.ts'
import { jointPromise } from './mandates.ts'
import type { Pledge } from './pledge.ts'
import type { Round, SealedValue } from './round.ts'
import type { Role, Session } from './session.ts'
import type { Accepted, Message, Outbid, Prepare, PromiseMade, Seal } from './vocabulary.ts'

export class Voting implements Role {
  readonly #round: Round
  readonly #session: Session
  /**
   * The highest Prepare that came before this peer could vote: before it held the state, or, in a founding round, its
   * update.
   */
  #unanswered: Prepare | undefined
  /** The Prepare that was promised last. */
  #answered: Prepare | undefined
  /** What this peer said when it accepted last. */
  #vote: Accepted | undefined
  /** Members that left, for whom this peer votes too. */
  readonly #members = new Set<string>()

  constructor(round: Round, session: Session) {
    this.#round = round
    this.#session = session
  }

  advance(): void {
    if (this.#unanswered !== undefined && this.canVote()) {
      const message = this.#unanswered
      this.#unanswered = undefined
      this.prepare(message.ballot.leader, message)
    }
    this.#takeOn()
    this.#accept()
  }

  dueMs(): number {
    return Number.POSITIVE_INFINITY
  }

  /** Phase 1 request. Returns why it is refused, if it is. */
  prepare(from: string, message: Prepare): string | undefined {
    const round = this.#round
    const { ballot } = message
    if (from !== ballot.leader) return 'a ballot of another leader'
    if (!this.canVote() && compareBallots(ballot, this.#unanswered?.ballot) > 0) this.#unanswered = message
    if (round.base === undefined) return undefined
    if (!isLegalBallot(ballot, round.order)) return `attempt ${ballot.attempt} is not led by ${from}`
    if (round.committed !== undefined) this.repeatTo(from)
    if (this.isOutbid(ballot)) return undefined
    if (this.isFarAhead(ballot)) return `attempt ${ballot.attempt} is far ahead`
    round.promised = ballot
    round.progressAtMs = this.#session.nowMs
    if (this.canVote()) {
      this.#answered = message
      this.#session.pledge(round)
      for (const speak of this.#voices()) this.#session.send(from, speak(this.#promise(message)))
    }
    return undefined
  }

  /** Phase 2 request. Returns why it is refused, if it is. */
  seal(from: string, message: Seal): string | undefined {
    const round = this.#round
    const { ballot, planId } = message
    if (from !== ballot.leader) return 'a seal of another leader'
    const plan = round.plans.get(planId)
    if (plan === undefined) return 'a seal of an unknown plan'
    if (!isLegalBallot(ballot, directoryOf(plan).leaders)) return 'a seal of the wrong leader'
    const fault = sealFault(plan, message)
    if (fault !== undefined) return `a seal that ${fault}`
    if (this.isOutbid(ballot)) return undefined
    if (this.isFarAhead(ballot)) return `a seal of attempt ${ballot.attempt}, which is far ahead`
    if (compareBallots(ballot, round.seal?.ballot) < 0) return undefined
    if (round.seal !== undefined && compareBallots(ballot, round.seal.ballot) === 0) {
      return this.#digestOf(planId, message) === round.seal.sealDigest ? undefined : 'two seals in one ballot'
    }
    round.promised = ballot
    round.seal = { ballot, signature: message.signature, ...this.know(planId, message) }
    round.forgetValues()
    round.progressAtMs = this.#session.nowMs
    if (round.base !== undefined)
      this.#session.emit({ kind: 'Progress', round: round.number, phase: 'sealing' })
    return undefined
  }

  /** True when `ballot` is lower than what this peer promised; its leader is told. */
  isOutbid(ballot: Ballot): boolean {
    const { promised, number: round } = this.#round
    if (compareBallots(ballot, promised) >= 0) return false
    const { order } = this.#round
    if (order.length === 0 || order.includes(this.#session.self))
      this.#session.send(ballot.leader, { kind: 'Outbid', round, ballot: promised! })
    return true
  }

  /** A voter promised a higher ballot than this leader's. Returns why it is refused, if it is. */
  outbid(from: string, { ballot }: Outbid): string | undefined {
    const round = this.#round
    const voters = round.order
    if (voters.length > 0 && !voters.includes(from)) return 'a ballot from outside the council'
    if (!isLegalBallot(ballot, round.order)) return `attempt ${ballot.attempt} is not led by ${ballot.leader}`
    if (round.base !== undefined && compareBallots(ballot, round.promised) > 0 && !this.isFarAhead(ballot))
      round.promised = ballot
    return undefined
  }

  /**
   * True when `ballot`, which outbids what is promised here, passes it by more than honest leaders do: the last attempt
   * there is could have no successor. It is followed as far as may be, for a liar may have led the others there step by
   * step, and whoever stayed behind must be able to come after them.
   */
  isFarAhead(ballot: Ballot): boolean {
    const round = this.#round
    if (round.base === undefined) return false // who only follows has no say, and nothing to measure by
    const excess = ballot.attempt - (round.promised?.attempt ?? 0) - attemptsAheadMax
    if (excess <= 0) return false
    const turns = Math.max(1, round.order.length)
    round.promised = { ...ballot, attempt: ballot.attempt - Math.ceil(excess / turns) * turns }
    return true
  }

  /** Notes a seal and gives it its digest. */
  know(planId: string, { digests, absent }: SealContent): SealedValue {
    const sealDigest = this.#digestOf(planId, { digests, absent })
    const value = this.#round.values.get(sealDigest) ?? { planId, digests, absent, sealDigest }
    this.#round.values.set(sealDigest, value)
    return value
  }

  /** This peer's votes count in this round. */
  canVote(): boolean {
    const { base, isVoter, order, own, survivors } = this.#round
    if (base === undefined) return false
    if (base.electorate.length === 0) return own !== undefined
    return order.includes(this.#session.self) && (isVoter || survivors !== undefined)
  }

  /** What this peer pledged in a former life binds it: it is the same acceptor. */
  recall({ promised, accepted }: Pledge): void {
    const round = this.#round
    if (compareBallots(promised, round.promised) > 0) round.promised = promised
    if (round.seal !== undefined && compareBallots(round.seal.ballot, round.promised) < 0)
      round.seal = undefined
    if (accepted === undefined) return
    const { ballot, plan, digests, results } = accepted
    const planId = planIdOf(plan, this.#session.init.hash)
    round.plans.set(planId, plan)
    for (const [part, result] of results.entries()) round.results.recall(result, digests[part]!)
    round.accepted = { ballot, ...this.know(planId, accepted) }
    this.#session.send(this.#session.self, this.#accepted()!)
  }

  /** After a broken link, or to a peer that is late: this peer's vote. */
  repeatTo(peer: string): void {
    const accepted = this.#accepted()
    if (accepted === undefined) return
    for (const speak of this.#voices()) this.#session.send(peer, speak(accepted))
  }

  #digestOf(planId: string, { digests, absent }: SealContent): string {
    return this.#session.init.hash(sealIdentity(planId, { digests, absent }))
  }

  #promise({ ballot, round }: Prepare): PromiseMade {
    const { accepted, plan, plans, results } = this.#round
    const have = newBitmap(plan === undefined ? 0 : partCountOf(plan.plan))
    if (plan !== undefined) {
      for (let part = 0; part < partCountOf(plan.plan); part++) {
        if (results.has(plan.planId, part)) setBit(have, part)
      }
    }
    return {
      kind: 'Promise',
      round,
      ballot,
      accepted: accepted && {
        ballot: accepted.ballot,
        plan: plans.get(accepted.planId)!,
        digests: accepted.digests,
        absent: accepted.absent,
      },
      plan: plan && { ballot: plan.ballot, plan: plan.plan },
      have,
    }
  }

  #accept(): void {
    const round = this.#round
    const { seal } = round
    if (seal === undefined || !this.canVote() || compareBallots(seal.ballot, round.promised) !== 0) return
    if (compareBallots(seal.ballot, round.accepted?.ballot) === 0 || !round.isComplete(seal)) return
    const plan = round.planOf(seal)!
    if (!round.isOfBase(plan) || !isOfMajority(plan) || !this.#isPlannedLife(plan)) return
    round.accepted = seal
    this.#session.pledge(round)
    const message = this.#accepted()!
    if (round.grid.rowCount > 1) for (const councillor of round.order) this.#session.send(councillor, message)
    else for (const speak of this.#voices()) this.#session.broadcast(speak(message))
  }

  /** Members that left since: bound by what they promised, this peer's word is theirs from now on. */
  #takeOn(): void {
    if (!this.canVote()) return
    const round = this.#round
    const joined = this.#session.mandatesIn(round).filter(([member]) => !this.#members.has(member))
    if (joined.length === 0) return
    const mandates = joined.map(([, mandate]) => mandate)
    round.promised = jointPromise(round.promised, mandates, round.number)
    const accepted = this.#accepted()
    const isHeld = (said: { ballot: Ballot }): boolean => compareBallots(said.ballot, round.promised) === 0
    for (const [member] of joined) {
      this.#members.add(member)
      const speak = voiceOf(member)
      if (accepted !== undefined && isHeld(accepted)) this.#session.broadcast(speak(accepted))
      if (this.#answered !== undefined && isHeld(this.#answered))
        this.#session.send(this.#answered.ballot.leader, speak(this.#promise(this.#answered)))
    }
  }

  /** How this peer says what an acceptor says: for itself, and for each member that left it its vote. */
  #voices(): ((message: Accepted | PromiseMade) => Message)[] {
    return [(message) => message, ...[...this.#members].map(voiceOf)]
  }

  #accepted(): Accepted | undefined {
    const { accepted, number: round } = this.#round
    if (accepted === undefined) return undefined
    const { ballot, sealDigest } = accepted
    if (this.#vote?.sealDigest !== sealDigest || compareBallots(this.#vote.ballot, ballot) !== 0)
      this.#vote = this.#session.signed(this.#round, { kind: 'Accepted', round, ballot, sealDigest })
    return this.#vote
  }

  /** In a founding round the contributors vote, each for the life of it that contributed. */
  #isPlannedLife(plan: Plan): boolean {
    if (plan.council.length > 0) return true
    const me = plan.contributors.find(({ peer }) => peer === this.#session.self)
    return me !== undefined && me.commit === this.#round.own?.commit
  }
}

function voiceOf(member: string): (message: Accepted | PromiseMade) => Message {
  return (message) => ({ kind: 'Deputed', round: message.round, member, message })
}
