/**
 * One round with the roles that act on it, and the checks that a message passes before it changes the record. Knows one
 * round only; which rounds there are is the machine's business.
 */

import { heldForPassingMax } from '../../core/limits.ts'
import { compareBallots, isLegalBallot } from '../plan/electorate.ts'
import { commitDigestOf, partCount, partLength } from '../plan/parts.ts'
import { planFault, weightOf } from '../plan/plan.ts'
import { planIdOf } from '../plan/plan-codec.ts'
import { directoryOf, rowOfPeer } from '../plan/plan-directory.ts'
import { Early } from './early.ts'
import type { Inspection } from './events.ts'
import { Expiry } from './expiry.ts'
import { Fetching } from './fetching.ts'
import { Finishing } from './finishing.ts'
import { Gathering } from './gathering.ts'
import { Leading } from './leading.ts'
import { Learning } from './learning.ts'
import { Overseeing } from './overseeing.ts'
import { Pulling } from './pulling.ts'
import { Reducing } from './reducing.ts'
import { Relaying } from './relaying.ts'
import { Round } from './round.ts'
import type { Role, Session } from './session.ts'
import { Succession } from './succession.ts'
import { Telling } from './telling.ts'
import type {
  Commit,
  Deputed,
  Hold,
  Lacking,
  PlanFrozen,
  Reassign,
  Relay,
  Result,
  RoundMessage,
} from './vocabulary.ts'
import { Voting } from './voting.ts'

/** Early messages may hold twice what a reducer can be sent in a round, and a little for the small ones. */
const earlyBytesSpare = 1 << 20

/**
 * Fair shares of that room which one sender may take, and half of it at most: a reducer makes up to two of its row's
 * shares, so a contributor sends it as many, and gets as many of its means.
 */
const earlyShares = 4

export class Duties {
  readonly round: Round
  readonly voting: Voting
  readonly learning: Learning
  readonly succession: Succession
  readonly gathering: Gathering
  readonly overseeing: Overseeing
  readonly leading: Leading
  readonly reducing: Reducing
  readonly finishing: Finishing
  readonly fetching: Fetching
  readonly pulling: Pulling
  readonly expiry: Expiry
  readonly #relaying: Relaying
  readonly #telling: Telling
  readonly #session: Session
  readonly #roles: readonly Role[]
  readonly #early: Early
  /** What deputies said of whom this peer has not heard that they are. */
  #unspoken: { from: string; message: Deputed }[] = []

  constructor(number: number, session: Session) {
    this.#session = session
    this.round = new Round(number)
    this.expiry = new Expiry(this.round, session)
    this.finishing = new Finishing(this.round, session)
    this.reducing = new Reducing(this.round, session, this.finishing)
    this.voting = new Voting(this.round, session)
    this.learning = new Learning(this.round, session)
    this.succession = new Succession(this.round, session)
    this.gathering = new Gathering(this.round, session, () => this.succession.current()?.leader)
    this.overseeing = new Overseeing(this.round, session)
    this.leading = new Leading(this.round, session, this)
    this.fetching = new Fetching(this.round, session, this.voting, this.learning)
    this.pulling = new Pulling(this.round, session)
    this.#relaying = new Relaying(this.round, session)
    this.#telling = new Telling(this.round, session, this.voting, this.learning)
    const { expiry, reducing, finishing, gathering, leading, pulling, voting, learning, fetching } = this
    this.#roles = [expiry, reducing, finishing, gathering, leading, pulling, voting, learning, fetching]
    const { partition, encodedBytes } = session.init
    const vectorBytes = encodedBytes(partition.partElements) * partCount(partition)
    this.#early = new Early({
      bytesMax: 2 * vectorBytes + earlyBytesSpare,
      shareMax: () => earlyShares / Math.max(2 * earlyShares, session.linkedPeers().length),
    })
  }

  /** Lets every role act. A committed round only votes on: somebody else may still need it. */
  advance(): void {
    this.#replay()
    this.#relaying.passHeld()
    this.#hearDeputies()
    for (const role of this.round.committed === undefined ? this.#roles : [this.voting]) role.advance()
  }

  /** When a role wants to look again. */
  dueMs(): number {
    if (this.round.committed !== undefined) return Number.POSITIVE_INFINITY
    let dueMs = Number.POSITIVE_INFINITY
    for (const role of this.#roles) dueMs = Math.min(dueMs, role.dueMs())
    return dueMs
  }

  /** After a broken link: says to `peer` what this peer says in this round. */
  repeatTo(peer: string): void {
    if (this.round.base === undefined || this.round.isReleased) return
    this.gathering.repeatTo(peer)
    this.leading.repeatTo(peer)
    this.reducing.repeatTo(peer)
    this.finishing.repeatTo(peer)
    // A member says where it stands when its link is up, and is told then; all mates telling it a whole plan at once is
    // much.
    const { committed, grid } = this.round
    if (committed !== undefined && grid.rowCount > 1 && grid.isMember(peer)) this.voting.repeatTo(peer)
    else this.#telling.tell(peer)
  }

  /** Takes a message into the record. Returns why it is refused, if it is. */
  receive(from: string, message: RoundMessage, inspection?: Inspection): string | undefined {
    if (this.round.isReleased) return undefined // as of a round that is not kept any more
    if (message.kind === 'Relay') return this.#relay(from, message)
    if (message.kind === 'Deputed') return this.#deputed(from, message)
    return this.#relaying.heard(from, message) ?? this.#take(from, message, inspection)
  }

  /** A word by way of a neighbour: who passed it on answers for the signature, who signed it for the rest. */
  #relay(from: string, { origin, message }: Relay): string | undefined {
    if (origin === this.#session.self) return undefined
    const reason = this.#relaying.passedOn(from, origin, message)
    if (reason !== undefined) return reason
    const fault = this.#take(origin, message)
    if (fault !== undefined)
      this.#session.refuse(
        origin,
        `${message.kind} of round ${message.round}, passed on by ${from}: ${fault}`,
      )
    return undefined
  }

  #take(
    from: string,
    message: Exclude<RoundMessage, Relay | Deputed>,
    inspection?: Inspection,
  ): string | undefined {
    switch (message.kind) {
      case 'Hold':
      case 'Commit':
        return this.#stand(from, message)
      case 'Roster':
        return this.gathering.roster(from, message)
      case 'Plan':
        return this.#plan(from, message)
      case 'Prepare':
        return this.voting.prepare(from, message)
      case 'Promise':
        return this.leading.promise(from, message)
      case 'Outbid':
        return this.voting.outbid(from, message)
      case 'Accepted':
        return this.learning.accepted(from, message)
      case 'Votes':
        return this.learning.votes(message)
      case 'Want':
        return void this.fetching.want(from, message)
      case 'WantSeal':
        return void this.fetching.wantSeal(from, message)
      case 'Lacking':
        return this.#lacking(from, message)
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
    message: Extract<RoundMessage, { kind: 'Part' | 'Sum' | 'Result' | 'Reassign' | 'Seal' }>,
    inspection: Inspection | undefined,
  ): string | undefined {
    switch (message.kind) {
      case 'Part':
        return this.round.base === undefined ? undefined : this.reducing.receive(from, message, inspection!)
      case 'Sum':
        return this.round.base === undefined ? undefined : this.finishing.receive(from, message, inspection!)
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
      digest = commitDigestOf(message, this.#session.init.hash)
    }
    if (this.round.committed !== undefined) this.#telling.tell(from)
    if (this.#isProgress(from)) this.round.progressAtMs = this.#session.nowMs
    return this.round.stand(from, message, digest)
  }

  /**
   * Newcomers come all the time, and under a plan nobody's word brings the round on: neither must excuse a leader that
   * does nothing.
   */
  #isProgress(from: string): boolean {
    const { base, plan, grid, isFounding } = this.round
    return base === undefined || (plan === undefined && (isFounding || grid.isMember(from)))
  }

  #plan(from: string, { ballot, plan, signature }: PlanFrozen): string | undefined {
    const { round } = this
    if (from !== ballot.leader) return 'a plan of another leader'
    const fault = planFault(plan, partCount(this.#session.init.partition))
    if (fault !== undefined) return `a plan with ${fault}`
    if (plan.round !== round.number) return 'a plan of another round'
    if (!isLegalBallot(ballot, directoryOf(plan).leaders)) return 'a plan of the wrong leader'
    if (round.base !== undefined && !round.isOfBase(plan)) return 'a plan from another state'
    if (this.voting.isOutbid(ballot)) return undefined
    if (this.voting.isFarAhead(ballot)) return `a plan of attempt ${ballot.attempt}, which is far ahead`
    if (compareBallots(ballot, round.plan?.ballot) < 0) return undefined
    const planId = planIdOf(plan, this.#session.init.hash)
    if (compareBallots(ballot, round.plan?.ballot) === 0) {
      return planId === round.plan!.planId ? undefined : 'two plans in one ballot'
    }
    if (round.base !== undefined) {
      round.promised = ballot
      if (planId !== round.plan?.planId)
        this.#session.emit({ kind: 'Progress', round: round.number, phase: 'reducing' })
    }
    round.adopt({ ballot, planId, plan, signature })
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
    const { digest } = inspection
    const isNamed = this.round.isNamed(planId, part, digest)
    // From a reducer whose reassignment has not arrived here yet, or a late answer: pulled again if the seal names it.
    if (!isNamed && !this.round.isReducer(plan, part, from) && this.round.asked.get(part) !== from)
      return undefined
    if (this.round.results.add(message, digest, { sender: from, isNamed })) {
      this.round.progressAtMs = this.#session.nowMs
      this.finishing.spread(from, message)
    }
    this.fetching.hear(part)
    return undefined
  }

  #reassign(from: string, message: Reassign): string | undefined {
    const { round } = this
    const { ballot, planId, parts, reducer } = message
    if (from !== ballot.leader) return 'a reassignment by another leader'
    if (planId !== round.plan?.planId || compareBallots(ballot, round.plan.ballot) !== 0) return undefined
    if (rowOfPeer(round.plan.plan, reducer) === undefined) return 'a reducer that is not in the plan'
    if (parts.some((part) => part >= partCount(this.#session.init.partition)))
      return 'a part that there is not'
    let isNew = false
    for (const part of parts) {
      const reducers = round.reassigned.get(part) ?? []
      isNew ||= !reducers.includes(reducer)
      round.reassigned.set(part, [...reducers.filter((peer) => peer !== reducer), reducer])
    }
    // Or a leader that names the same ones again and again would lead for ever; and one that misses a mean which all
    // others have, as long as there are reducers to name.
    if (isNew && !round.isReduced) round.progressAtMs = this.#session.nowMs
    this.reducing.reassigned(message)
    this.finishing.reassigned(message)
    return undefined
  }

  #lacking(from: string, message: Lacking): undefined {
    this.fetching.lacking(from, message)
    this.overseeing.lacking(from, message)
  }

  /** A deputy's word is as good as the member's, once the member has said who that is. */
  #deputed(from: string, word: Deputed): string | undefined {
    const { member, message } = word
    if (message.round !== this.round.number) return 'a word about another round'
    if (this.round.grid.rowCount > 1) return 'a word of a deputy in a grid'
    if (this.#session.speakerOf(member, this.round.number) === from) return this.#take(member, message)
    if (this.#unspoken.length >= heldForPassingMax) return 'no room for words of deputies'
    this.#unspoken.push({ from, message: word })
    return undefined
  }

  #hearDeputies(): void {
    for (const { from, message } of this.#unspoken.splice(0)) this.#deputed(from, message)
  }
}
