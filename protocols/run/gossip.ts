/**
 * A run's gossip, through the jobs protocol: this peer's reports out, at a bounded rate, and where the others stand.
 *
 * A report is sent at once when the last one is old enough, else a moment later with whatever is newest then; and it is
 * repeated while nothing changes, so that a newcomer, or a coordinator that comes back, soon knows everybody.
 */

import type { Clock } from '../core/clock.ts'
import { reportExpiryMs } from '../core/limits.ts'
import type { Jobs } from '../jobs/index.ts'
import type { Report, RunGossip, Standing } from './ports.ts'

/**
 * Between two reports, at least, and for each peer of the run: every report reaches all of them. Rounds can be as short
 * as 50 ms; four reports a second are plenty for people and for verdicts, and forty of all peers together a tenth of a
 * slow core.
 */
const reportGapMsMin = 250
const reportGapMsPerPeer = 25

/**
 * While nothing changes a report is repeated: a peer that joins soon hears from somebody, and after this long from
 * everybody.
 */
const repeatMsMin = 2_000
const repeatMsPerPeer = 250

/** A third of the time for which a report counts, so that two may be lost. */
const repeatMsMax = reportExpiryMs / 3

export interface RunGossipInit {
  job: string
  self: string
  jobs: Pick<Jobs, 'get' | 'on' | 'publishProgress'>
  /** Bytes that this peer has exchanged for the run so far. */
  traffic(): { uploadedBytes: number; downloadedBytes: number }
  /** Called with every report that goes out. */
  onReport?(report: Report): void
  clock: Clock
}

/** The gossip of one run; `close` ends the repeating. */
export function runGossip(init: RunGossipInit): RunGossip & { close(): void } {
  const { job, self, jobs, traffic, clock } = init
  let newest: Report | undefined
  let sentMs = Number.NEGATIVE_INFINITY
  let stopTimer: (() => void) | undefined

  const spread = (msMin: number, perPeerMs: number) => {
    const peers = jobs.get(job)?.progress.size ?? 0
    return Math.min(repeatMsMax, Math.max(msMin, perPeerMs * peers))
  }
  const send = () => {
    if (newest === undefined) return
    sentMs = clock.now()
    jobs.publishProgress(job, { ...newest, ...traffic() })
    init.onReport?.(newest)
    schedule(spread(repeatMsMin, repeatMsPerPeer))
  }
  const schedule = (delayMs: number) => {
    stopTimer?.()
    stopTimer = clock.setTimer(delayMs, send)
  }

  return {
    report(report) {
      newest = report
      const waitMs = sentMs + spread(reportGapMsMin, reportGapMsPerPeer) - clock.now()
      if (waitMs <= 0) send()
      else schedule(waitMs)
    },
    standings() {
      const reports = [...(jobs.get(job)?.progress ?? [])].filter(([peer]) => peer !== self)
      return new Map(reports.map(([peer, { progress }]): [string, Standing] => [peer, progress]))
    },
    changed({ signal }) {
      return new Promise((resolve, reject) => {
        const stop = () => {
          off()
          signal.removeEventListener('abort', onAbort)
        }
        const off = jobs.on((notice) => {
          if (notice.kind !== 'progress' || notice.job !== job || notice.peer === self) return
          stop()
          resolve()
        })
        const onAbort = () => {
          stop()
          reject(signal.reason)
        }
        if (signal.aborted) onAbort()
        else signal.addEventListener('abort', onAbort, { once: true })
      })
    },
    close: () => stopTimer?.(),
  }
}
