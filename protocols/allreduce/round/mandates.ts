/**
 * The votes of members that left. A member that goes without having accepted anything names a deputy, who from then on
 * votes for it too: of two peers the one that stays is a quorum at once, instead of after `electorateExpiryMs`.
 *
 *     member ──Leave {deputy, round, promised}──▶ all        its acceptor moves to the deputy, with what it promised
 *     deputy ──Deputed {member, Promise | Accepted}──▶       as good as hearing it from the member
 *
 * The acceptor is moved, not copied: the member says nothing more in that life, and one deputy has its promise. So any
 * two quorums still share an acceptor, and decision 2 holds. The deputy speaks for a life that the plan made a member,
 * and for no other; it hands nobody's vote on when it goes itself. Where several rows are, nobody needs it: a council
 * outlives its leavers.
 */

import { roundsKept } from '../../core/limits.ts'
import { type Ballot, compareBallots } from '../plan/electorate.ts'

/** What a member that goes hands over. */
export interface Mandate {
  deputy: string
  /** The first round in which the deputy votes for it. */
  round: number
  /** The life that votes no more. */
  incarnation: number
  /** The ballot that the member promised in `round`. */
  promised: Ballot | undefined
}

/** A life can be a member of the round that it leaves, and of the next when that one's plan still names it. */
const roundsCovered = 2

export class Mandates {
  readonly #mandates = new Map<string, Mandate>()

  /**
   * `member` went, and named a deputy. Takes the place of what it said in another life. False when that is for a round
   * that nobody is in: `place` is this peer's, undefined while it has none.
   */
  note(member: string, mandate: Mandate, place: number | undefined): boolean {
    if (place !== undefined && mandate.round > place + roundsKept) return false
    this.#mandates.set(member, mandate)
    return true
  }

  /** Whoever votes for `member` in `round`: its deputy, or itself when it named none. */
  speakerOf(member: string, round: number): string {
    const mandate = this.#mandates.get(member)
    return mandate !== undefined && isCovered(mandate, round) ? mandate.deputy : member
  }

  /** The members that named `deputy` for `round`, with their mandates. */
  of(deputy: string, round: number): [string, Mandate][] {
    return [...this.#mandates].filter(([, mandate]) => mandate.deputy === deputy && isCovered(mandate, round))
  }

  /** Forgets what concerns only rounds before `round`, or such as nobody can be in. */
  forgetAround(round: number): void {
    for (const [member, mandate] of this.#mandates) {
      const isFar = mandate.round > round + 1 + roundsKept
      if (isFar || mandate.round + roundsCovered <= round) this.#mandates.delete(member)
    }
  }
}

function isCovered({ round: first }: Mandate, round: number): boolean {
  return round >= first && round < first + roundsCovered
}

/** The ballot that an acceptor is bound to that joins its own promise with those of `mandates` for `round`. */
export function jointPromise(
  own: Ballot | undefined,
  mandates: readonly Mandate[],
  round: number,
): Ballot | undefined {
  let highest = own
  for (const { round: first, promised } of mandates)
    if (first === round && compareBallots(promised, highest) > 0) highest = promised
  return highest
}
