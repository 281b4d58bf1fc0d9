/**
 * What happens when a quorum is gone for good: after `electorateExpiryMs` without one, the members that are left count as
 * the electorate. A deliberate trade: were the others merely cut off, two versions of the run go on, and the one with
 * less behind it is given up when they meet.
 */

import { isFoundingQuorum } from './electorate.ts'
import { canBeCounted, isQuorumHere } from './freeze.ts'
import type { Round } from './round.ts'
import type { Role, Session } from './session.ts'

export class Expiry implements Role {
  readonly #round: Round
  readonly #session: Session
  #lostSinceMs: number | undefined

  constructor(round: Round, session: Session) {
    this.#round = round
    this.#session = session
  }

  advance(): void {
    const { base, survivors, number: round } = this.#round
    if (base === undefined || survivors !== undefined) return
    if (this.#isQuorumHere()) {
      this.#lostSinceMs = undefined
      return
    }
    const { nowMs, init } = this.#session
    if (this.#lostSinceMs === undefined) {
      this.#lostSinceMs = nowMs
      const live = this.#live()
      this.#session.emit({ kind: 'QuorumLost', round, live, expiresInMs: init.timing.electorateExpiryMs })
    }
    if (nowMs >= this.dueMs()) this.#expire()
  }

  dueMs(): number {
    if (this.#lostSinceMs === undefined || this.#round.survivors !== undefined)
      return Number.POSITIVE_INFINITY
    return this.#lostSinceMs + this.#session.init.timing.electorateExpiryMs
  }

  /** Too few of the electorate are here. */
  get isLost(): boolean {
    return this.#lostSinceMs !== undefined
  }

  /** A founding round has no electorate before it has a plan: until then it just waits for peers. */
  #isQuorumHere(): boolean {
    const { isFounding, plan } = this.#round
    if (!isFounding) return isQuorumHere(this.#round, this.#session)
    if (plan === undefined) return true
    const contributors = plan.plan.contributors.map(({ peer }) => peer)
    const here = contributors.filter((peer) => canBeCounted(this.#round, this.#session, peer))
    return isFoundingQuorum(contributors, here, this.#session.init.peersMin)
  }

  #live(): string[] {
    return [this.#session.self, ...this.#session.livePeers()].sort()
  }

  #expire(): void {
    const live = this.#live()
    const { electorate } = this.#round.base!
    const isAnyoneLeft = electorate.some((peer) => live.includes(peer))
    this.#round.survivors = new Set(live)
    if (!this.#round.isFounding && !isAnyoneLeft) this.#round.refound()
  }
}
