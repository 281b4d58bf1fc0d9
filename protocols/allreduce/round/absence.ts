/**
 * Whom a leader's seal names as gone: those of the plan's peers that are not here, go after this round, or came back
 * without what they promised, as far as the leader would be linked with them. All others are the next round's
 * electorate.
 */

import { compareText } from '../plan/electorate.ts'
import type { Plan } from '../plan/plan.ts'
import type { Round } from './round.ts'
import type { Session } from './session.ts'

/** The peers of `plan` that this peer, as its leader, names as gone: sorted, and all of them when nobody is left. */
export function absentFrom(plan: Plan, round: Round, session: Session): string[] {
  const staying = [...plan.contributors, ...plan.receivers].filter(({ peer }) => {
    return session.isLive(peer) && !session.isLeaving(peer)
  })
  // Should all go, the run can be continued only by one of them that changes its mind.
  const isGoing = (peer: string): boolean => staying.length > 0 && session.isLeaving(peer)
  const { standings, isFounding } = round
  const isRemembering = (peer: string): boolean => !isFounding && (standings.get(peer)?.isVoter ?? false)
  const isHere = (peer: string): boolean =>
    session.isLive(peer) && !session.isFollowing(peer) && !isGoing(peer)
  const receiving = plan.receivers.filter(({ peer, incarnation }) => {
    return !isHere(peer) || (standings.get(peer)?.incarnation !== incarnation && !isRemembering(peer))
  })
  const contributing = plan.contributors.filter((contributor) => {
    const { peer } = contributor
    return !isHere(peer) || !(round.isPlannedLife(contributor) || isRemembering(peer))
  })
  return [...contributing, ...receiving]
    .map(({ peer }) => peer)
    .filter((peer) => canSee(round, session, peer))
    .sort(compareText)
}

/** This peer would be linked with `peer` if that were here. */
export function canSee({ grid }: Round, { self }: Session, peer: string): boolean {
  return grid.rowCount === 1 || grid.areRowMates(self, peer) || grid.areColumnMates(self, peer)
}
