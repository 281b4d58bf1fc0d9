/**
 * How a peer leaves: it gives away what it owes the round first, as long as it is allowed to.
 *
 *     LeaveRequested ──an update or a duty in a round that has not ended──▶ leaving ──ended, or time is up──▶ Leave, gone
 *           └──────────────────────── nothing ────────────────────────────────────────────────────────────────────▲
 *
 * A leaving peer says so (`Leaving`): its update, its sums and its vote count, and the seal names it as absent, so that
 * the next round has nobody to wait for. When all others leave too, nobody is left to do it for. A peer that goes
 * before it accepted a seal hands its vote to one that stays (`mandates.ts`).
 */

import { Grid } from '../plan/grid.ts'
import type { Duties } from '../round/duties.ts'
import { canBeCounted } from '../round/freeze.ts'
import type { Mandate } from '../round/mandates.ts'
import type { Round } from '../round/round.ts'
import type { Session } from '../round/session.ts'
import type { Rounds } from './rounds.ts'

export class Departure {
  readonly #session: Session
  readonly #rounds: Rounds
  /** When this peer goes at the latest; Infinity while it stays. */
  #byMs = Number.POSITIVE_INFINITY

  constructor(session: Session, rounds: Rounds) {
    this.#session = session
    this.#rounds = rounds
  }

  get isBegun(): boolean {
    return this.#byMs < Number.POSITIVE_INFINITY
  }

  /** When the time is up. */
  dueMs(): number {
    return this.#byMs
  }

  /** The peer goes within `withinMs`; asked again, the earlier moment counts. All are told. */
  begin(withinMs: number): void {
    this.#byMs = Math.min(this.#byMs, this.#session.nowMs + withinMs)
    for (const peer of this.#session.linkedPeers()) this.#session.send(peer, { kind: 'Leaving' })
  }

  /** Nothing keeps this peer any more. */
  isDue(): boolean {
    if (!this.isBegun) return false
    return this.#session.nowMs >= this.#byMs || !this.#owes() || !this.#isAnyoneStaying()
  }

  /**
   * Whom this peer's vote goes to; undefined when it accepted something, which only itself can answer for, or has no
   * vote.
   */
  mandate(): Mandate | undefined {
    const { place, current } = this.#rounds
    if (place === undefined) return undefined
    const round = current?.round
    const hasState = round?.base !== undefined
    if (hasState && (!current!.voting.canVote() || round.isFounding || round.accepted !== undefined))
      return undefined
    const deputy = this.#deputyIn(place, hasState ? round : undefined)
    if (deputy === undefined) return undefined
    const { incarnation } = this.#session.init
    return { deputy, round: place, incarnation, promised: hasState ? round.promised : undefined }
  }

  /** What this peer gave, or has to sum and to serve, is not in a committed round yet. */
  #owes(): boolean {
    const round = this.#rounds.current?.round
    if (round?.base === undefined || round.committed !== undefined) return false
    return round.own !== undefined || round.plan !== undefined
  }

  #isAnyoneStaying(): boolean {
    return this.#session.livePeers().some((peer) => !this.#session.isLeaving(peer))
  }

  /** The first member of a single row that stays and, for all that is known, votes in the round. */
  #deputyIn(place: number, round: Round | undefined): string | undefined {
    const electorate = round?.base?.electorate ?? this.#electorateOf(place)
    if (new Grid('', electorate).rowCount > 1) return undefined
    return electorate.find((peer) => {
      const isVoter = round === undefined || canBeCounted(round, this.#session, peer)
      return (
        peer !== this.#session.self && this.#session.isLive(peer) && !this.#session.isLeaving(peer) && isVoter
      )
    })
  }

  /** The members of a round whose state is not here yet, by what the one before came to. */
  #electorateOf(place: number): readonly string[] {
    const before: Duties | undefined = this.#rounds.get(place - 1)
    return before?.round.committed?.electorate ?? []
  }
}
