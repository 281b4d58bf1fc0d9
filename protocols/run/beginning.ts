/**
 * Before a peer's first round: where the others are. One that is new waits for as many as the job asks for; one that
 * comes back with a state of a former life listens for a moment, for training on an older state than theirs would be
 * for nothing.
 */

import type { Clock } from '../core/clock.ts'
import type { RunGossip } from './ports.ts'

/**
 * How long a peer that comes back listens for where the others are: some of them repeat it every two seconds
 * (`gossip.ts`).
 */
const hearingMs = 3_000

/** Waits for `peersMin` peers, this one among them. True when somebody already holds a later state than the first. */
export async function isRunAhead(
  { gossip, peersMin }: { gossip: RunGossip; peersMin: number },
  { signal }: { signal: AbortSignal },
): Promise<boolean> {
  while (true) {
    const standings = [...gossip.standings().values()]
    if (standings.some(({ round }) => round > 0)) return true
    if (standings.length + 1 >= peersMin) return false
    await gossip.changed({ signal })
  }
}

/**
 * True when one of the first that are heard of holds a later state than that of `round`. `isAlone`: nobody else was a
 * member of the run, so there is nobody to listen for.
 */
export async function isOvertaken(
  { gossip, clock, round, isAlone }: { gossip: RunGossip; clock: Clock; round: number; isAlone: boolean },
  { signal }: { signal: AbortSignal },
): Promise<boolean> {
  const patience = new AbortController()
  const stopTimer = clock.setTimer(isAlone ? 0 : hearingMs, () => patience.abort())
  try {
    while (gossip.standings().size === 0 && !patience.signal.aborted)
      await gossip.changed({ signal: AbortSignal.any([signal, patience.signal]) })
  } catch (error) {
    if (!patience.signal.aborted || signal.aborted) throw error
  } finally {
    stopTimer()
  }
  return [...gossip.standings().values()].some((standing) => standing.round > round)
}
