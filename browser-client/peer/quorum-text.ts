/** What a donor reads when too few of those that decide on a round are here. */

import type { AllreduceEvent } from '../../protocols/allreduce/index.ts'

/** Two sentences at most: who is away, and in how many seconds the others go on without, if they may. */
export function quorumText({
  round,
  deciding,
  missing,
  expiresInMs,
}: Extract<AllreduceEvent, { kind: 'quorum-lost' }>): string {
  const away = `${missing.length} ${missing.length === 1 ? 'is' : 'are'} away`
  const waiting = `Round ${round} waits: of ${deciding.length} peers that decide on it ${away}.`
  if (!Number.isFinite(expiresInMs)) return waiting
  return `${waiting} In ${Math.round(expiresInMs / 1000)} seconds those that are here go on.`
}
