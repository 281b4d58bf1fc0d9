/**
 * How a peer learns that a run is over. The coordinator's verdict and the owner's stop come from others; that the job
 * has expired, or that its minutes are used up, a peer must also find out by itself, since nobody may be left to say
 * so.
 */

import type { Clock } from '../../protocols/core/clock.ts'
import type { JobNotice, Jobs, SignedJob, Verdict } from '../../protocols/jobs/index.ts'
import { isFinal } from '../../protocols/jobs/index.ts'

/**
 * How long after the job's minutes a peer still waits for the verdict, which names the state to keep: a measurement may
 * be under way, and the clocks of home computers are off by a minute or two.
 */
const verdictSlackMs = 2 * 60_000

/** One timer waits no longer: the clock may have been set meanwhile, and `setTimeout` holds no more than 25 days. */
const lookMsMax = 60_000

/** How the run ended for this peer. */
export type Ended =
  | { kind: 'verdict'; verdict: Verdict }
  | { kind: 'stopped' | 'out-of-budget'; reason: string }

export interface EndListenerInit {
  signed: SignedJob
  jobs: Pick<Jobs, 'follow'>
  clock: Clock
  /** Milliseconds since 1970. */
  epochMs(): number
}

export interface EndListener {
  /** Aborts at the end of the run. */
  signal: AbortSignal
  /** How it ended; `undefined` before. */
  readonly ended: Ended | undefined
  /** Listens no more. */
  close(): void
}

/**
 * Listens for the end of a run, from now on.
 * @throws {SwarmError} NOT_FOUND when the job is not known here.
 */
export function listenForEnd({ signed, jobs, clock, epochMs }: EndListenerInit): EndListener {
  const { convergence, created } = signed.manifest
  const endMs = created + convergence.maxMinutes * 60_000 + verdictSlackMs
  const over = new AbortController()
  let ended: Ended | undefined
  let stopTimer = () => {}
  const end = (how: Ended) => {
    ended ??= how
    over.abort()
  }
  const look = () => {
    const leftMs = endMs - epochMs()
    if (leftMs > 0) stopTimer = clock.setTimer(Math.min(leftMs, lookMsMax), look)
    else end({ kind: 'out-of-budget', reason: `the ${convergence.maxMinutes} minutes are used up` })
  }
  const unfollow = jobs.follow(signed.job, (notice) => {
    const how = endOf(notice)
    if (how !== undefined) end(how)
  })
  look()
  return {
    signal: over.signal,
    get ended() {
      return ended
    },
    close: () => {
      stopTimer()
      unfollow()
    },
  }
}

function endOf(notice: JobNotice): Ended | undefined {
  switch (notice.kind) {
    case 'verdict':
      return isFinal(notice.verdict) ? { kind: 'verdict', verdict: notice.verdict } : undefined
    case 'stopped':
      return { kind: 'stopped', reason: notice.stop.reason }
    case 'forgotten':
      return { kind: 'stopped', reason: 'the job has expired, or given its place to another' }
    default:
      return undefined
  }
}
