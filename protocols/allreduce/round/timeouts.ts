/** How long a reducer waits for those that send to it; leaders, who wait for reducers, add to it. */

import { partLength } from '../plan/parts.ts'
import type { Plan } from '../plan/plan.ts'
import { directoryOf } from '../plan/plan-directory.ts'
import type { Session } from './session.ts'

/**
 * Bytes per second that a contributor's uplink is expected to carry at least (2 Mbit/s): it sends one part to each
 * reducer in turn, so a reducer may have to wait for one part of every other before it hears from it again.
 */
const uplinkFloor = 250_000

/** What is left of the rate that a peer measured in earlier rounds, when its home uses the link too. */
const measuredShare = 0.5

/**
 * What `peer` has to send for `plan` may still come: it is live, or not silent for longer than a part may take on its
 * link. On a slow uplink that many share, a part takes longer than a link may be quiet.
 */
export function mayStillSend(session: Session, plan: Plan, peer: string): boolean {
  return session.quietMs(peer) < ownPartTimeoutMs(session, plan, peer)
}

/** When the first of `peers` that are silent will have been so for longer than a part may take; Infinity: none is. */
export function silenceDueMs(session: Session, plan: Plan, peers: Iterable<string>): number {
  let dueMs = Number.POSITIVE_INFINITY
  for (const peer of peers) {
    const quietMs = session.quietMs(peer)
    const leftMs = quietMs > 0 ? ownPartTimeoutMs(session, plan, peer) - quietMs : 0
    if (leftMs > 0) dueMs = Math.min(dueMs, session.nowMs + leftMs)
  }
  return dueMs
}

/** How long a reducer waits for a contributor of `plan` that is here and stuck, and a finisher for such a row. */
export function partTimeoutMs(session: Session, plan: Plan): number {
  return timeoutMs(session, plan, uplinkFloor)
}

/** The same for `peer`, which is silent: by what it said of its own link, since its pulses have stopped too. */
function ownPartTimeoutMs(session: Session, plan: Plan, peer: string): number {
  const measured = directoryOf(plan).contributors.get(peer)?.bandwidth ?? 0
  return timeoutMs(session, plan, Math.max(uplinkFloor, measuredShare * measured))
}

function timeoutMs({ init }: Session, { shares }: Plan, bytesPerSecond: number): number {
  const { partition, encodedBytes, timing } = init
  return timing.partMs + (shares.length * encodedBytes(partLength(partition, 0)) * 1000) / bytesPerSecond
}
