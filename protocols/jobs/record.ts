/**
 * What is known about one job, and the ways to look at it: its status, one line for a list, the details for a peer that
 * asks, and the notices that somebody who begins to follow has missed. Only the machine changes a record.
 */

import type { ErrorCode } from '../core/errors.ts'
import { shownPeersMax } from '../core/limits.ts'
import type { JobDetails, JobStatus, JobSummary, Progress } from './messages.ts'
import type { SignedJob, SignedStatement } from './signed.ts'
import type { Evaluation, Stop, Verdict } from './statement.ts'

/** All that is known about one job. */
export interface JobRecord extends SignedJob {
  /** The newest report of each peer, and when it came, in milliseconds since 1970. */
  progress: Map<string, { progress: Progress; heardMs: number }>
  /** In the order of their rounds. */
  evaluations: SignedStatement<Evaluation>[]
  /** The newest, or the final one. */
  verdict?: SignedStatement<Verdict>
  stop?: SignedStatement<Stop>
}

/** What changed, for whoever listens. */
export type JobNotice =
  | { kind: 'added'; job: string; record: JobRecord }
  | { kind: 'progress'; job: string; peer: string; progress: Progress }
  | { kind: 'evaluation'; job: string; evaluation: Evaluation; signer: string }
  | { kind: 'verdict'; job: string; verdict: Verdict; signer: string }
  | { kind: 'stopped'; job: string; stop: Stop }
  | { kind: 'forgotten'; job: string }
  /** `from` sent something that is not allowed. Nothing changed. */
  | { kind: 'refused'; from: string; code: ErrorCode; reason: string; hint?: string }

/** Where the job stands. */
export function statusOf({ verdict, stop }: JobRecord): JobStatus {
  if (stop !== undefined) return 'stopped'
  const said = verdict?.statement.verdict
  return said === undefined || said === 'continue' ? 'open' : said
}

/** One line about the job. */
export function summaryOf(record: JobRecord): JobSummary {
  const { job, manifest, progress } = record
  const rounds = [...progress.values()].map((report) => report.progress.round)
  return {
    job,
    name: manifest.name,
    owner: manifest.owner,
    status: statusOf(record),
    created: manifest.created,
    expires: manifest.expires,
    round: rounds.reduce((max, round) => Math.max(max, round), 0),
    peers: rounds.length,
  }
}

/** Everything that another peer can be told about the job. */
export function detailsOf({ envelope, progress, evaluations, verdict, stop }: JobRecord): JobDetails {
  const signed = [...evaluations, verdict, stop].filter((statement) => statement !== undefined)
  return {
    envelope,
    progress: [...progress].slice(0, shownPeersMax).map(([peer, report]) => ({ peer, ...report.progress })),
    statements: signed.map((statement) => statement.envelope),
  }
}

/** What happened to the job so far, as the notices that a follower would have had. */
export function recalled({ job, progress, evaluations, verdict, stop }: JobRecord): JobNotice[] {
  const notices: JobNotice[] = []
  for (const [peer, report] of progress)
    notices.push({ kind: 'progress', job, peer, progress: report.progress })
  for (const { statement, signer } of evaluations) {
    notices.push({ kind: 'evaluation', job, evaluation: statement, signer })
  }
  if (verdict !== undefined)
    notices.push({ kind: 'verdict', job, verdict: verdict.statement, signer: verdict.signer })
  if (stop !== undefined) notices.push({ kind: 'stopped', job, stop: stop.statement })
  return notices
}
