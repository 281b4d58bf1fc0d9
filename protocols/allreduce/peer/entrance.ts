/**
 * How a peer comes to a round, by what its run asks for:
 *
 *     enter     it holds the state                     ──▶ Hold
 *     give      it has an update to give               ──▶ Hold, Commit
 *     receive   it has none, and wants the outcome     ──▶ Hold, Commit of weight 0
 *     follow    it has no state: it hears of all rounds ──▶ Follow
 *
 * A round that is over already is answered at once. A member that was here before, in the life that its disk remembers,
 * is bound by what that one pledged.
 */

import type { RoundBase } from '../plan/base.ts'
import { commitIdentity } from '../plan/parts.ts'
import type { Duties } from '../round/duties.ts'
import type { Event } from '../round/events.ts'
import type { Pledges } from '../round/pledges.ts'
import type { Session } from '../round/session.ts'
import type { KeepingUp } from './keeping-up.ts'
import type { Presence } from './presence.ts'
import type { Rounds } from './rounds.ts'

export class Entrance {
  readonly #session: Session
  readonly #rounds: Rounds
  readonly #presence: Presence
  readonly #pledges: Pledges
  readonly #keepingUp: KeepingUp
  /** This peer has no state, and was asked to hear of all rounds. */
  isFollowing = false

  constructor(session: Session, rounds: Rounds, presence: Presence, pledges: Pledges, keepingUp: KeepingUp) {
    this.#session = session
    this.#rounds = rounds
    this.#presence = presence
    this.#pledges = pledges
    this.#keepingUp = keepingUp
  }

  /** This peer has no state from now on. */
  follow(): void {
    this.#rounds.place = undefined
    this.#keepingUp.isWaiting = false
    this.isFollowing = true
    this.#session.broadcast({ kind: 'Follow' })
  }

  /** Comes to the round of `base`; undefined when it is over already, and then the answer was given. */
  enter(base: RoundBase): Duties | undefined {
    const { place } = this.#rounds
    if (place !== undefined && base.round < place) {
      this.#keepingUp.answerLate(base)
      return undefined
    }
    const wasFollowing = this.isFollowing
    this.isFollowing = false
    this.#keepingUp.isWaiting = true
    this.#rounds.place = base.round
    const duties = this.#rounds.openFor(base, this.#session.self)
    if (duties.round.base === undefined) this.#begin(duties, base)
    else if (wasFollowing) this.#presence.repeat(base.round)
    this.#keepingUp.releaseResults()
    if (duties.round.committed === undefined) return duties
    this.#keepingUp.answerLate(base)
    return undefined
  }

  /** This peer gives an update to a round. */
  give(event: Extract<Event, { kind: 'UpdateReady' }>): void {
    const duties = this.enter(event.base)
    if (duties === undefined || duties.round.own !== undefined) return
    const { weight, pace, parts, digests } = event
    const { incarnation, hash } = this.#session.init
    const commit = hash(commitIdentity({ incarnation, weight, digests }))
    duties.round.own = { weight, parts, digests, commit }
    this.#presence.commit(duties.round, { weight, pace, digests })
  }

  /** This peer gives nothing to the round of `base`, and wants what it comes to. */
  receive(base: RoundBase): void {
    const duties = this.enter(base)
    if (duties === undefined || duties.round.own !== undefined) return
    this.#presence.commit(duties.round, { weight: 0, digests: [] })
  }

  #begin({ round, voting }: Duties, base: RoundBase): void {
    const recalled = this.#pledges.recalledIn(base)
    this.#presence.begin(round, base)
    if (recalled !== undefined && round.isVoter) voting.recall(recalled)
  }
}
