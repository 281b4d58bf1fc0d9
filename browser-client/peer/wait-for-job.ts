/** A tab knows its job's id from the link, and learns the job itself from the first peer that it reaches. */

import type { Clock } from '../../protocols/core/clock.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import type { JobNotice, Jobs, SignedJob } from '../../protocols/jobs/index.ts'
import type { TabPeer } from './network.ts'

/** Once somebody is reached, two comparisons of job lists (they come every ten seconds) must have brought the job. */
const patienceMs = 25_000

/**
 * The signed manifest of `job`. Waits for a peer that can be reached as long as `signal` lets it.
 * @throws {SwarmError} NOT_FOUND when the peers that were reached do not know it, or refuse to say more of it.
 */
export async function waitForJob(
  { libp2p, services: { jobs } }: TabPeer,
  job: string,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<SignedJob> {
  const { promise, resolve, reject } = Promise.withResolvers<SignedJob>()
  let stopTimer = () => {}
  const startTimer = () => {
    libp2p.removeEventListener('peer:connect', startTimer)
    stopTimer = clock.setTimer(patienceMs, () => reject(notFound(job, lastRefusal)))
  }
  let lastRefusal = ''
  const off = jobs.on((notice: JobNotice) => {
    if (notice.kind === 'added' && notice.job === job) resolve(notice.record)
    else if (notice.kind === 'refused') lastRefusal = notice.reason
  })
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    signal.throwIfAborted()
    const known = knownJob(jobs, job)
    if (known !== undefined) return known
    if (libp2p.getConnections().length > 0) startTimer()
    else libp2p.addEventListener('peer:connect', startTimer)
    return await promise
  } finally {
    off()
    stopTimer()
    libp2p.removeEventListener('peer:connect', startTimer)
    signal.removeEventListener('abort', onAbort)
  }
}

function knownJob(jobs: Jobs, job: string): SignedJob | undefined {
  return jobs.get(job)
}

function notFound(job: string, why: string): SwarmError {
  const reason = why === '' ? '' : `: ${why}`
  return new SwarmError('NOT_FOUND', `nobody in this swarm knows job ${job}${reason}`, {
    hint: 'Ask whoever sent the link for a new one.',
  })
}
