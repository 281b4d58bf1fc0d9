/**
 * A leader of a grid must hold every mean before it seals, and its row's reducers push them to it. Of a mean whose reducer in this
 * row is gone nobody does: the leader asks its column for it, one mate at a time, until one has it. Others wait for the seal
 * and pull what it names (`fetching.ts`).
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
    const parts = current === undefined ? [] : this.#unpushed(current)
    if (parts.length === 0) return
    const { nowMs, init } = this.#session
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
    const { plan, seal, grid, base } = this.#round
    if (base === undefined || grid.rowCount === 1 || plan?.ballot.leader !== this.#session.self)
      return undefined
    return seal?.ballot.attempt === plan.ballot.attempt ? undefined : plan
  }

  /** Parts whose mean is not here and whose reducer in this row is not either. */
  #unpushed({ plan, planId }: BallotPlan): number[] {
    const row = this.#round.grid.rowOf(this.#session.self)
    if (row === undefined) return []
    const parts = Array.from({ length: partCountOf(plan) }, (_, part) => part)
    return parts.filter((part) => {
      if (this.#round.results.has(planId, part)) return false
      const reducer = this.#round.reducer(part, row)
      return reducer === undefined || !this.#session.isLive(reducer)
    })
  }

  #ask({ planId }: BallotPlan, parts: readonly number[]): void {
    const { grid, number: round } = this.#round
    const { self } = this.#session
    const mates = this.#session.livePeers().filter((peer) => grid.areColumnMates(self, peer))
    const mate = mates[this.#asks++ % mates.length]
    if (mate === undefined) return
    for (const part of parts.slice(0, wantsInFlightMax)) {
      this.#round.asked.add(part)
      this.#session.send(mate, { kind: 'Want', round, planId, part, digest: undefined })
    }
  }
}
