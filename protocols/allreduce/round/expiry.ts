/**
 * What happens when a quorum is gone for good: after `electorateExpiryMs` without one, the members that are left count
 * as the electorate. A deliberate trade: were the others merely cut off, two branches of the run go on until they meet
 * (`positions.ts` says which continues). When no member is left at all, the others wait for one to return: they hold the
 * state, but gave no update that could carry the run on. Nor does a first round go on with fewer than the run was to be
 * founded by: whoever is cut off in it would found a run alone. A grid of several rows does not expire: nobody there
 * sees who is left, and the council of 31 that it drew loses its quorum only when half of the run is gone.
 */

import { compareText } from '../plan/electorate.ts'
import { canBeCounted, committers, deciders, hasVoice, isQuorumHere } from './freeze.ts'
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
    if (this.#round.base === undefined) return
    if (this.#isQuorumHere()) {
      this.#lostSinceMs = undefined
      return
    }
    const { nowMs } = this.#session
    const live = [this.#session.self, ...this.#session.livePeers()].sort()
    if (this.#lostSinceMs === undefined) {
      this.#lostSinceMs = nowMs
      this.#tell(live)
    }
    if (nowMs < this.dueMs()) return
    if (this.#mayGoOn(live)) this.#round.survivors = new Set(live)
    this.#lostSinceMs = this.#isQuorumHere() ? undefined : nowMs
  }

  dueMs(): number {
    if (this.#lostSinceMs === undefined || this.#round.grid.rowCount > 1) return Number.POSITIVE_INFINITY
    return this.#lostSinceMs + this.#session.init.timing.electorateExpiryMs
  }

  /** Too few of the electorate are here. */
  get isLost(): boolean {
    return this.#lostSinceMs !== undefined
  }

  #tell(live: readonly string[]): void {
    const { isFounding, number: round } = this.#round
    const deciding = isFounding ? this.#members() : [...deciders(this.#round)].sort(compareText)
    const hasCome = isFounding ? canBeCounted : hasVoice
    const missing = deciding.filter((peer) => !hasCome(this.#round, this.#session, peer))
    const expiresInMs = this.#mayGoOn(live) ? this.dueMs() - this.#session.nowMs : Number.POSITIVE_INFINITY
    this.#session.emit({ kind: 'QuorumLost', round, live, deciding, missing, expiresInMs })
  }

  /**
   * A founding round has no electorate before it has a plan: until then it just waits for peers. Whoever is on the way
   * is not lost: a councillor of a new grid still opens its links.
   */
  #isQuorumHere(): boolean {
    const { isFounding, plan } = this.#round
    if (this.#members().some((peer) => this.#session.isExpected(peer))) return true
    if (!isFounding) return isQuorumHere(this.#round, this.#session)
    if (plan === undefined) return true
    const here = this.#members().filter((peer) => canBeCounted(this.#round, this.#session, peer))
    return this.#round.isDecidedBy(plan.plan, new Set(here), this.#session.init.peersMin)
  }

  /** A run is founded by as many as its owner asked for, however long that takes; after that one member is enough. */
  #mayGoOn(live: readonly string[]): boolean {
    if (this.#round.isFounding)
      return committers(this.#round, this.#session).length >= this.#session.init.peersMin
    const members = this.#members()
    return live.some((peer) => members.includes(peer))
  }

  #members(): readonly string[] {
    const { isFounding, plan, grid } = this.#round
    return isFounding ? (plan?.plan.contributors ?? []).map(({ peer }) => peer) : grid.council
  }
}
