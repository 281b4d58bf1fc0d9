/** What a peer waits for in a round, in words: for people, and for the simulator's liveness check. */

import { partCountOf } from '../plan/plan.ts'
import type { Duties } from './duties.ts'
import { committers } from './freeze.ts'
import type { Session } from './session.ts'

/** One clause, with the peers and counts that matter. */
export function pendingReason(
  { round, expiry, succession, reducing, finishing, fetching }: Duties,
  session: Session,
): string {
  const { peersMin } = session.init
  if (expiry.isLost)
    return `waiting for a quorum of ${round.order.length || peersMin} peers; live: ${live(session)}`
  if (round.decided !== undefined) return `decided, fetching ${fetching.missingCount()} parts`
  if (round.seal !== undefined) {
    const missing = fetching.missingCount()
    return missing > 0 ? `sealed, fetching ${missing} parts` : 'sealed, waiting for a quorum of votes'
  }
  if (round.plan !== undefined) {
    const total = partCountOf(round.plan.plan)
    const awaited = [...reducing.awaited(), ...finishing.awaited()]
    const from = awaited.length > 0 ? `; waiting for parts of ${awaited.join(', ')}` : ''
    return `reducing, ${round.results.count(round.plan.planId)} of ${total} parts${from}`
  }
  const committed = committers(round, session).length
  if (round.isFounding && committed < peersMin)
    return `waiting for peers: ${committed} of ${peersMin} are ready`
  return `${committed} peers are ready; waiting for the plan of ${succession.current()?.leader ?? 'a leader'}`
}

function live(session: Session): string {
  return [session.self, ...session.livePeers()].sort().join(', ')
}
