/**
 * Whose turn it is to lead a round.
 *
 * Attempt 0 is led by the first of the electorate. A leader that is gone (not one whose link is on its way) or leaves
 * without having come to this round, that cannot vote, or under which nothing moves for `leaderMs`, is followed by the
 * next voter in order that is here; in a founding round by the first of those that have committed. A leader that
 * restarts with its memory goes on in its own next ballot. Peers may see this differently for a while: then two
 * prepare, and the higher ballot wins. Or none does, where a leader went as it prepared and its successor has not heard
 * that it led: whoever has tells that one.
 *
 * What its reducers may take is added, but for who has all of their means: there nothing but the seal is waited for.
 */

import { attemptsMax } from '../../core/limits.ts'
import { type Ballot, compareBallots, leaderOrder } from '../plan/electorate.ts'
import { canBeCounted, committers, isQuorumHere } from './freeze.ts'
import type { Round } from './round.ts'
import type { Session } from './session.ts'
import { partTimeoutMs } from './timeouts.ts'

/** How many attempts' worth of extra patience a leader gets at most: rivals with different views come apart. */
const patienceAttemptsMax = 6

export class Succession {
  readonly #round: Round
  readonly #session: Session
  /** Leaders under which nothing moved. */
  readonly #suspects = new Set<string>()
  #judgedAtMs = 0
  /** The successor that was told last, by the ballot that it should begin. */
  #told: Ballot | undefined

  constructor(round: Round, session: Session) {
    this.#round = round
    this.#session = session
  }

  /** The ballot that counts now, as far as this peer knows. */
  current(): Ballot | undefined {
    const { promised, order } = this.#round
    if (promised !== undefined || order.length === 0) return promised
    return { attempt: 0, leader: order[0]! }
  }

  /** The ballot that this peer should begin, while it leads none; undefined when it is another's turn. */
  ownTurn(): Ballot | undefined {
    const { promised, order } = this.#round
    const { self } = this.#session
    if (promised === undefined && order[0] === self) return { attempt: 0, leader: self }
    const current = this.current()
    const hasGivenUp = current?.leader === self
    if (hasGivenUp && this.#isRecalled(current)) return this.#nextOwn(current)
    if (current !== undefined && !hasGivenUp && !this.#isGone(current.leader)) return undefined
    const next = this.#successor()
    return next?.leader === self && next.attempt <= attemptsMax ? next : undefined
  }

  /** Tells whoever follows a leader that is gone by which ballot, once: it may know of none but the one before. */
  tellSuccessor(): void {
    const { promised, number: round, isFounding, order } = this.#round
    const { self } = this.#session
    if (isFounding || !order.includes(self)) return
    if (promised === undefined || !this.#isGone(promised.leader)) return
    const next = this.#nextInOrder(promised)
    if (next === undefined || compareBallots(next, this.#told) === 0) return
    if (!this.#session.isLinked(next.leader)) return // its link is on its way, and it is told then
    this.#told = next
    if (next.leader !== self) this.#session.send(next.leader, { kind: 'Outbid', round, ballot: promised })
  }

  /** This peer led `ballot` in a former life, and cannot know what it proposed. */
  #isRecalled({ leader }: Ballot): boolean {
    return !this.#round.isFounding && !this.#suspects.has(leader)
  }

  /** The next ballot of the leader of `ballot`, once enough are here to hear from them if another leads by now. */
  #nextOwn({ attempt, leader }: Ballot): Ballot | undefined {
    const next = attempt + this.#round.order.length
    return this.isQuorumPossible() && next <= attemptsMax ? { attempt: next, leader } : undefined
  }

  /**
   * When the leader has had its time; only while there is something that it should be doing. `freezeMs`: since when it
   * could plan.
   */
  dueMs(freezeMs: number): number {
    const { plan, isReduced, progressAtMs, promised } = this.#round
    const isItsTurn = plan !== undefined || this.#session.nowMs >= freezeMs
    if (!isItsTurn || !this.isQuorumPossible()) return Number.POSITIVE_INFINITY
    const { leaderMs } = this.#session.init.timing
    const attempts = Math.min(patienceAttemptsMax, promised?.attempt ?? 0)
    const workMs = plan === undefined || isReduced ? 0 : 2 * partTimeoutMs(this.#session, plan.plan)
    return Math.max(progressAtMs, this.#judgedAtMs) + leaderMs * (1 + attempts / 2) + workMs
  }

  /** Enough of the electorate are here to decide anything. */
  isQuorumPossible(): boolean {
    return this.#round.isFounding || isQuorumHere(this.#round, this.#session)
  }

  /** Nothing moved under the leader: it is passed over. When it was before, its successor is not moving either. */
  suspectLeader(): void {
    this.#judgedAtMs = this.#session.nowMs
    const leader = this.current()?.leader
    if (leader === undefined) return
    const successor = this.#suspects.has(leader) ? this.#successor()?.leader : undefined
    this.#suspects.add(successor ?? leader)
    const rivals = this.#round.isFounding ? committers(this.#round, this.#session) : this.#round.order
    if (rivals.every((peer) => this.#isGone(peer))) this.#suspects.clear()
  }

  isSuspect(peer: string): boolean {
    return this.#suspects.has(peer)
  }

  /** The ballot that follows the current one, as far as this peer knows who is here. */
  #successor(): Ballot | undefined {
    const current = this.current()
    return this.#round.isFounding ? this.#nextFounder(current) : this.#nextInOrder(current!)
  }

  #nextInOrder(current: Ballot): Ballot | undefined {
    const { order } = this.#round
    for (let attempt = current.attempt + 1; attempt <= current.attempt + order.length; attempt++) {
      const leader = order[attempt % order.length]!
      if (leader === this.#session.self || !this.#isGone(leader)) return { attempt, leader }
    }
    return undefined
  }

  #nextFounder(current: Ballot | undefined): Ballot | undefined {
    const round = this.#round
    const here = committers(round, this.#session)
    const isEnough = here.length >= this.#session.init.peersMin || round.survivors !== undefined
    const candidates = here.filter((peer) => peer === this.#session.self || !this.#isGone(peer))
    const [leader] = leaderOrder(round.base!.root, candidates)
    if (!isEnough || leader === undefined) return undefined
    return { attempt: current === undefined ? 0 : current.attempt + 1, leader }
  }

  #isGone(peer: string): boolean {
    if (this.#suspects.has(peer)) return true
    if (this.#session.isLeaving(peer) && !this.#round.standings.has(peer)) return true // it stays in an earlier round
    return !this.#session.isExpected(peer) && !canBeCounted(this.#round, this.#session, peer)
  }
}
