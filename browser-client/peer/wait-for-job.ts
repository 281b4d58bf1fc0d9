/** A tab knows its job's id from the link, and learns the job itself from the first peer that it reaches. */

import type { Clock } from '../../protocols/core/clock.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import { isOtherSwarmKey } from '../../protocols/discovery/index.ts'
import type { JobNotice, SignedJob } from '../../protocols/jobs/index.ts'
import type { TabPeer } from './network.ts'

/** Once somebody is reached, two comparisons of job lists (they come every ten seconds) must have brought the job. */
const patienceMs = 25_000

/**
 * The same once somebody is reached who speaks other versions, or answers with another swarm's key: as a rule all do, and
 * a dial of whoever does not has come to an end by then.
 */
const mismatchPatienceMs = 8_000

/** What is needed of a tab. */
export interface WaitingPeer {
  libp2p: TabPeer['libp2p']
  services: Pick<TabPeer['services'], 'jobs' | 'versions' | 'discovery'>
}

/**
 * The signed manifest of `job`. Waits for a peer that can be reached as long as `signal` lets it.
 * @throws {SwarmError} NOT_FOUND when the peers that were reached do not know it, or refuse to say more of it;
 * VERSION_MISMATCH when one of them speaks other versions, so that it may know it; REFUSED when the swarm that answers
 * has another key than the link.
 */
export async function waitForJob(
  { libp2p, services: { jobs, versions, discovery } }: WaitingPeer,
  job: string,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<SignedJob> {
  const { promise, resolve, reject } = Promise.withResolvers<SignedJob>()
  let mismatch: SwarmError | undefined
  let lastRefusal = ''
  let stopTimer = () => {}
  const startTimer = () => {
    libp2p.removeEventListener('peer:connect', startTimer)
    stopTimer()
    const waitMs = mismatch === undefined ? patienceMs : mismatchPatienceMs
    stopTimer = clock.setTimer(waitMs, () => reject(mismatch ?? notFound(job, lastRefusal)))
  }
  const startLastTimer = (found: SwarmError) => {
    if (mismatch !== undefined) return
    mismatch = found
    startTimer()
  }
  const offVersions = versions.follow(startLastTimer)
  const offFirst = discovery.onFirstAddress((news) => {
    if (news.kind === 'missed' && isOtherSwarmKey(news.cause)) startLastTimer(otherKey(news.address))
  })
  const off = jobs.on((notice: JobNotice) => {
    if (notice.kind === 'added' && notice.job === job) resolve(notice.record)
    else if (notice.kind === 'refused') lastRefusal = notice.reason
  })
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    signal.throwIfAborted()
    const known = jobs.get(job)
    if (known !== undefined) return known
    if (libp2p.getConnections().length > 0) startTimer()
    else libp2p.addEventListener('peer:connect', startTimer)
    return await promise
  } finally {
    off()
    offVersions()
    offFirst()
    stopTimer()
    libp2p.removeEventListener('peer:connect', startTimer)
    signal.removeEventListener('abort', onAbort)
  }
}

function otherKey(address: string): SwarmError {
  return new SwarmError('REFUSED', `the swarm at ${address} has another key than this link`, {
    hint: 'Ask whoever sent the link for a new one.',
  })
}

function notFound(job: string, why: string): SwarmError {
  const reason = why === '' ? '' : `: ${why}`
  return new SwarmError('NOT_FOUND', `nobody in this swarm knows job ${job}${reason}`, {
    hint: 'Ask whoever sent the link for a new one.',
  })
}
