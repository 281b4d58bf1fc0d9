/**
 * A leader must hold every mean before it seals, and reducers push them to it. It may miss one that all others have:
 * when its link with the reducer came up too late, or two leaders gave a part to different peers. So it asks for what it
 * lacks, one mate at a time, when nothing came for `partMs`.
 *
 * In a grid its row's reducers push. Of a mean whose reducer in this row is gone nobody does, nor of one that the leader
 * reduces itself, standing in for another column, and whose finisher is not the plan's any more; and none whose finisher
 * died before this row's reducer had it. The leader asks its column until one has it; at once for the first two. Others
 * wait for the seal and pull what it names (`fetching.ts`).
 */

import { wantsInFlightMax } from '../../core/limits.ts'
import { partCountOf } from '../plan/plan.ts'
import type { BallotPlan, Round } from './round.ts'
import type { Role, Session } from './session.ts'

export class Pulling implements Role {
  readonly #round: Round
  readonly #session: Session
  #asks = 0
  #askedAtMs = Number.NEGATIVE_INFINITY
  #dueMs = Number.POSITIVE_INFINITY

  constructor(round: Round, session: Session) {
    this.#round = round
    this.#session = session
  }

  advance(): void {
    this.#dueMs = Number.POSITIVE_INFINITY
    const current = this.#led()
    const missing = current === undefined ? [] : this.#missing(current)
    if (missing.length === 0) return
    const { nowMs, init } = this.#session
    const quietMs = this.#round.progressAtMs + init.timing.partMs
    const parts = nowMs >= quietMs ? missing : missing.filter((part) => this.#isUnpushed(part))
    if (parts.length === 0) {
      this.#dueMs = quietMs
      return
    }
    if (nowMs >= this.#askedAtMs + init.timing.wantMs) {
      this.#askedAtMs = nowMs
      this.#ask(current!, parts)
    }
    this.#dueMs = this.#askedAtMs + init.timing.wantMs
  }

  dueMs(): number {
    return this.#dueMs
  }

  /** The plan that this peer leads and has not sealed yet. */
  #led(): BallotPlan | undefined {
    const { plan, seal, base } = this.#round
    if (base === undefined || plan?.ballot.leader !== this.#session.self) return undefined
    return seal?.ballot.attempt === plan.ballot.attempt ? undefined : plan
  }

  /** Parts whose mean is not here, and is another's to make. */
  #missing({ plan, planId }: BallotPlan): number[] {
    const { self } = this.#session
    const { grid, results } = this.#round
    if ((grid.rowCount > 1 && !grid.isMember(self)) || results.count(planId) === partCountOf(plan)) return []
    const parts = Array.from({ length: partCountOf(plan) }, (_, part) => part)
    return parts.filter((part) => !results.has(planId, part) && this.#round.finisher(part) !== self)
  }

  /**
   * Its reducer in this row is gone, or is this peer, which has no link with its finisher: it stands in for another
   * column.
   */
  #isUnpushed(part: number): boolean {
    const { self } = this.#session
    const { grid } = this.#round
    if (grid.rowCount === 1) return false // the leader gives it to another
    const reducer = this.#round.reducer(part, grid.rowOf(self)!)
    const pusher = reducer === self ? this.#round.finisher(part) : reducer
    return pusher === undefined || !this.#session.isLive(pusher)
  }

  #ask({ planId, plan }: BallotPlan, parts: readonly number[]): void {
    const { grid, number: round } = this.#round
    const { self } = this.#session
    const live = this.#session.livePeers()
    const mates = grid.rowCount === 1 ? live : live.filter((peer) => grid.areColumnMates(self, peer))
    const mate = mates[this.#asks++ % mates.length]
    if (mate === undefined) return
    // With one row a reducer that has not finished would seem to say that its finisher is lost.
    const isAsked = (part: number): boolean => grid.rowCount > 1 || !this.#round.isReducer(plan, part, mate)
    for (const part of parts.filter(isAsked).slice(0, wantsInFlightMax)) {
      this.#round.asked.set(part, mate)
      this.#session.send(mate, { kind: 'Want', round, planId, part, digest: undefined })
    }
  }
}
