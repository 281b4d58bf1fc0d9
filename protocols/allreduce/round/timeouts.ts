/** How long a reducer waits for those that send to it; leaders, who wait for reducers, add to it. */

import { partLength } from '../plan/parts.ts'
import type { Plan } from '../plan/plan.ts'
import type { Session } from './session.ts'

/**
 * Bytes per second that a contributor's uplink is expected to carry at least (2 Mbit/s): it sends one part to each
 * reducer in turn, so a reducer may have to wait for one part of every other before it hears from it again.
 */
const uplinkFloor = 250_000

/**
 * What `peer` has to send for `plan` may still come: it is live, or not silent for longer than a part may take. On a
 * slow uplink that many share, a part takes longer than a link may be quiet.
 */
export function mayStillSend(session: Session, plan: Plan, peer: string): boolean {
  return session.quietMs(peer) < partTimeoutMs(session, plan)
}

/** How long a reducer waits for a silent contributor of `plan`, and a finisher for a silent row. */
export function partTimeoutMs(session: Session, plan: Plan): number {
  const { partition, encodedBytes, timing } = session.init
  return timing.partMs + (plan.shares.length * encodedBytes(partLength(partition, 0)) * 1000) / uplinkFloor
}
