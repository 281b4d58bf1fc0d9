/**
 * One round with the roles that act on it, and the checks that a message passes before it changes the record. Knows one
 * round only; which rounds there are is the machine's business.
 */

import { Early } from './early.ts'
import { compareBallots, isLegalBallot, leaderOrder } from './electorate.ts'
import type { Inspection } from './events.ts'
import { Expiry } from './expiry.ts'
import { Fetching } from './fetching.ts'
import { Leading } from './leading.ts'
import { commitIdentity, hasBit, partCount, partLength } from './parts.ts'
import { type Plan, planFault, planIdentity } from './plan.ts'
import { Reducing } from './reducing.ts'
import { Round } from './round.ts'
import type { Role, Session } from './session.ts'
import type { Commit, Hold, PlanFrozen, Reassign, Result, RoundMessage } from './vocabulary.ts'
import { Voting } from './voting.ts'

/** Early messages may hold twice what a reducer can be sent in a round, and a little for the small ones. */
const earlyBytesSpare = 1 << 20

export class Duties {
  readonly round: Round
  readonly voting: Voting
  readonly leading: Leading
  readonly reducing: Reducing
  readonly fetching: Fetching
  readonly expiry: Expiry
  readonly #session: Session
  readonly #roles: readonly Role[]
  readonly #early: Early

  constructor(number: number, session: Session) {
    this.#session = session
    this.round = new Round(number)
    this.expiry = new Expiry(this.round, session)
    this.reducing = new Reducing(this.round, session)
    this.voting = new Voting(this.round, session)
    this.leading = new Leading(this.round, session, this.voting)
    this.fetching = new Fetching(this.round, session, this.voting)
    this.#roles = [this.expiry, this.reducing, this.leading, this.voting, this.fetching]
    const { partition, encodedBytes } = session.init
    const vectorBytes = encodedBytes(partition.partElements) * partCount(partition)
    this.#early = new Early(2 * vectorBytes + earlyBytesSpare)
  }

  /** Lets every role act. A committed round only votes on: somebody else may still need it. */
  advance(): void {
    this.#replay()
    for (const role of this.round.committed === undefined ? this.#roles : [this.voting]) role.advance()
  }

  /** When a role wants to look again. */
  dueMs(): number {
    if (this.round.committed !== undefined) return Number.POSITIVE_INFINITY
    return Math.min(...this.#roles.map((role) => role.dueMs()))
  }

  /** After a broken link: says to `peer` what this peer says in this round. */
  repeatTo(peer: string): void {
    if (this.round.base === undefined) return
    this.leading.repeatTo(peer)
    this.reducing.repeatTo(peer)
    this.voting.repeatTo(peer)
  }

  /** Takes a message into the record. Returns why it is refused, if it is. */
  receive(from: string, message: RoundMessage, inspection?: Inspection): string | undefined {
    switch (message.kind) {
      case 'Hold':
      case 'Commit':
        return this.#stand(from, message)
      case 'Plan':
        return this.#plan(from, message)
      case 'Prepare':
        return this.voting.prepare(from, message)
      case 'Promise':
        return this.leading.promise(from, message)
      case 'Outbid':
        return this.voting.outbid(from, message)
      case 'Accepted':
        return this.voting.accepted(from, message)
      case 'Want':
        return void this.fetching.want(from, message)
      case 'WantSeal':
        return void this.fetching.wantSeal(from, message)
      case 'Lacking':
        return void this.fetching.lacking(from, message)
      case 'SealValue':
        return this.fetching.sealValue(message)
    }
    if (!this.round.plans.has(message.planId)) {
      return this.#early.put({ from, message, inspection })
        ? undefined
        : 'no room for messages without a plan'
    }
    return this.#planned(from, message, inspection)
  }

  #planned(
    from: string,
    message: Extract<RoundMessage, { kind: 'Part' | 'Result' | 'Reassign' | 'Seal' }>,
    inspection: Inspection | undefined,
  ): string | undefined {
    switch (message.kind) {
      case 'Part':
        return this.round.base === undefined ? undefined : this.reducing.receive(from, message, inspection!)
      case 'Result':
        return this.#result(from, message, inspection!)
      case 'Reassign':
        return this.#reassign(from, message)
      case 'Seal':
        return this.voting.seal(from, message)
    }
  }

  #replay(): void {
    for (const { from, message, inspection } of this.#early.take((planId) => this.round.plans.has(planId))) {
      const reason = this.#planned(from, message, inspection)
      if (reason !== undefined) this.#session.refuse(from, reason)
    }
  }

  #stand(from: string, message: Hold | Commit): string | undefined {
    const count = partCount(this.#session.init.partition)
    let digest: string | undefined
    if (message.kind === 'Commit') {
      if (message.digests.length !== (message.weight > 0 ? count : 0))
        return 'a commit that does not name every part'
      digest = this.#session.init.hash(commitIdentity(message))
    }
    if (this.round.committed !== undefined) this.voting.repeatTo(from)
    this.round.progressAtMs = this.#session.nowMs
    return this.round.stand(from, message, digest)
  }

  #plan(from: string, { ballot, plan }: PlanFrozen): string | undefined {
    const { round } = this
    if (from !== ballot.leader) return 'a plan of another leader'
    const fault = planFault(plan, partCount(this.#session.init.partition))
    if (fault !== undefined) return `a plan with ${fault}`
    if (plan.round !== round.number) return 'a plan of another round'
    if (!isLegalBallot(ballot, leaderOrder(plan.root, plan.electorate))) return 'a plan of the wrong leader'
    if (round.base !== undefined && !round.isOfBase(plan)) return 'a plan from another state'
    if (this.voting.isOutbid(ballot) || compareBallots(ballot, round.plan?.ballot) < 0) return undefined
    const planId = this.#session.init.hash(planIdentity(plan))
    if (compareBallots(ballot, round.plan?.ballot) === 0) {
      return planId === round.plan!.planId ? undefined : 'two plans in one ballot'
    }
    if (round.base !== undefined) {
      round.promised = ballot
      if (planId !== round.plan?.planId)
        this.#session.emit({ kind: 'Progress', round: round.number, phase: 'reducing' })
    }
    round.adopt({ ballot, planId, plan })
    round.progressAtMs = this.#session.nowMs
    return undefined
  }

  #result(from: string, message: Result, inspection: Inspection): string | undefined {
    const { planId, part } = message
    const plan = this.round.plans.get(planId)!
    const { partition, encodedBytes } = this.#session.init
    if (part >= partCount(partition)) return `part ${part} of ${partCount(partition)}`
    if (message.bytes.length > encodedBytes(partLength(partition, part))) return `result ${part} is too long`
    if (!inspection.isDecodable) return `result ${part} has values that are no update`
    if (message.weight !== weightOf(plan, message.bitmap)) return `result ${part} claims a wrong weight`
    // From a reducer whose reassignment has not arrived here yet, or a late answer: pulled again if the seal names it.
    if (!this.round.isReducer(plan, part, from) && !this.round.asked.has(part)) return undefined
    if (this.round.results.add(message, inspection.digest)) this.round.progressAtMs = this.#session.nowMs
    this.fetching.hear(part)
    return undefined
  }

  #reassign(from: string, message: Reassign): string | undefined {
    const { round } = this
    const { ballot, planId, parts, reducer } = message
    if (from !== ballot.leader) return 'a reassignment by another leader'
    if (planId !== round.plan?.planId || compareBallots(ballot, round.plan.ballot) !== 0) return undefined
    if (!round.plan.plan.contributors.some(({ peer }) => peer === reducer))
      return 'a reducer that does not contribute'
    if (parts.some((part) => part >= partCount(this.#session.init.partition)))
      return 'a part that there is not'
    for (const part of parts) {
      const reducers = round.reassigned.get(part) ?? []
      round.reassigned.set(part, [...reducers.filter((peer) => peer !== reducer), reducer])
    }
    round.progressAtMs = this.#session.nowMs
    this.reducing.reassigned(message)
    return undefined
  }
}

/** Sum of the weights of the contributors in `bitmap`, in the plan's order; 0 when it names nobody. */
function weightOf(plan: Plan, bitmap: Uint8Array): number {
  return plan.contributors.reduce((sum, { weight }, index) => sum + (hasBit(bitmap, index) ? weight : 0), 0)
}
