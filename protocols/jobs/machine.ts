/**
 * What is known about jobs, as a pure machine: events in, notices out. Signatures are checked before an event is made;
 * here is decided who may say what, what is newer, and what is kept.
 *
 *     unknown ──ManifestOpened──▶ open ──final verdict of a coordinator──▶ converged | plateaued | diverged | out-of-budget
 *                                  │ └───stop signed by the owner───────▶ stopped
 *                                  │                                         │
 *                                  └────────── TimePassed ≥ expires ─────────┴──▶ forgotten
 *
 * An ended job stays ended: the first ending that a peer hears of is the one it keeps, since endings are advice and any
 * of them is right. What is known already is passed over in silence; what is not allowed gives a `refused` notice. Which
 * jobs give way when there are too many is in room.ts.
 */

import { unreachable } from '../core/assert.ts'
import type { ErrorCode } from '../core/errors.ts'
import { evaluationsMax, jobClockSkewMsMax, peerReportsMax, reportExpiryMs } from '../core/limits.ts'
import type { Progress } from './messages.ts'
import { type JobNotice, type JobRecord, statusOf } from './record.ts'
import { roomFor } from './room.ts'
import type { SignedJob, SignedStatement } from './signed.ts'
import { type Evaluation, isFinal, statementKind, type Verdict } from './statement.ts'

/** By job id. */
export type JobsState = Map<string, JobRecord>

export type JobsInput =
  /** `said`: what comes with it, of a job that has had a life elsewhere. */
  | {
      kind: 'ManifestOpened'
      signed: SignedJob
      said?: readonly SignedStatement[]
      from: string
      nowMs: number
    }
  | { kind: 'ProgressReceived'; job: string; peer: string; progress: Progress; nowMs: number }
  | { kind: 'StatementOpened'; signed: SignedStatement; from: string }
  /** `nowMs`: since 1970. */
  | { kind: 'TimePassed'; nowMs: number }

/** Applies one event to `state`, in place, and says what changed. */
export function step(state: JobsState, input: JobsInput): JobNotice[] {
  switch (input.kind) {
    case 'ManifestOpened':
      return add(state, input)
    case 'ProgressReceived':
      return takeProgress(state, input)
    case 'StatementOpened':
      return takeStatement(state, input)
    case 'TimePassed':
      return forget(state, input.nowMs)
    default:
      return unreachable(input)
  }
}

function add(state: JobsState, { signed, said = [], from, nowMs }: Input<'ManifestOpened'>): JobNotice[] {
  const { job, manifest } = signed
  if (state.has(job)) return []
  const refuse = (code: ErrorCode, reason: string, hint?: string) => [
    refused(from, code, `job "${manifest.name}" ${reason}`, hint),
  ]
  if (nowMs >= manifest.expires)
    return refuse('EXPIRED', `expired at ${new Date(manifest.expires).toISOString()}`)
  if (manifest.created > nowMs + jobClockSkewMsMax) {
    return refuse('JOB_INVALID', `was made in the future, at ${new Date(manifest.created).toISOString()}`)
  }
  const record: JobRecord = { ...signed, progress: new Map(), evaluations: [] }
  const alone: JobsState = new Map([[job, record]])
  const heard = said.flatMap((signed) => takeStatement(alone, { kind: 'StatementOpened', signed, from }))
  const room = roomFor(state.values(), { ...manifest, status: statusOf(record) })
  if (room.kind === 'none')
    return refuse(
      'LIMIT_EXCEEDED',
      room.reason,
      'Stop a job that is not needed, or wait until one has ended.',
    )
  const notices: JobNotice[] = []
  if (room.kind === 'of') {
    state.delete(room.job)
    notices.push({ kind: 'forgotten', job: room.job })
  }
  state.set(job, record)
  return [...notices, { kind: 'added', job, record }, ...heard]
}

function takeProgress(state: JobsState, input: Input<'ProgressReceived'>): JobNotice[] {
  const { job, peer, progress, nowMs } = input
  const record = state.get(job)
  if (record === undefined)
    return [refused(peer, 'NOT_FOUND', `progress of job ${job}, which is not known here`)]
  const known = record.progress.get(peer)
  if (known !== undefined && progress.at <= known.progress.at) return []
  if (known === undefined && record.progress.size >= peerReportsMax) {
    return [refused(peer, 'LIMIT_EXCEEDED', `${peerReportsMax} peers report to job ${job} already`)]
  }
  record.progress.set(peer, { progress, heardMs: nowMs })
  return [{ kind: 'progress', job, peer, progress }]
}

function takeStatement(state: JobsState, { signed, from }: Input<'StatementOpened'>): JobNotice[] {
  const { statement, signer } = signed
  const record = state.get(statement.job)
  if (record === undefined) {
    return [refused(from, 'NOT_FOUND', `a statement about job ${statement.job}, which is not known here`)]
  }
  const { owner, coordinators } = record.manifest
  const isStop = statement.kind === statementKind.stop
  if (isStop ? signer !== owner : !coordinators.includes(signer)) {
    const role = isStop ? 'owner' : 'coordinator'
    return [refused(from, 'REFUSED', `${signer} is no ${role} of job "${record.manifest.name}"`)]
  }
  switch (statement.kind) {
    case statementKind.evaluation:
      return takeEvaluation(record, { ...signed, statement })
    case statementKind.verdict:
      return takeVerdict(record, { ...signed, statement })
    case statementKind.stop:
      if (record.stop !== undefined || statusOf(record) !== 'open') return []
      record.stop = { ...signed, statement }
      return [{ kind: 'stopped', job: record.job, stop: statement }]
    default:
      return unreachable(statement)
  }
}

function takeEvaluation(record: JobRecord, signed: SignedStatement<Evaluation>): JobNotice[] {
  const { statement: evaluation, signer } = signed
  const { evaluations } = record
  if (evaluations.some(({ statement }) => statement.root === evaluation.root)) return []
  evaluations.push(signed)
  evaluations.sort((a, b) => a.statement.round - b.statement.round)
  if (evaluations.length > evaluationsMax) evaluations.shift()
  return [{ kind: 'evaluation', job: record.job, evaluation, signer }]
}

function takeVerdict(record: JobRecord, signed: SignedStatement<Verdict>): JobNotice[] {
  const { statement: verdict, signer } = signed
  if (statusOf(record) !== 'open') return []
  const isNewer = record.verdict === undefined || verdict.at > record.verdict.statement.at
  if (!isNewer && !isFinal(verdict)) return []
  record.verdict = signed
  return [{ kind: 'verdict', job: record.job, verdict, signer }]
}

function forget(state: JobsState, nowMs: number): JobNotice[] {
  const notices: JobNotice[] = []
  for (const { job, manifest, progress } of state.values()) {
    if (nowMs >= manifest.expires) {
      state.delete(job)
      notices.push({ kind: 'forgotten', job })
    }
    for (const [peer, { heardMs }] of progress) if (nowMs - heardMs >= reportExpiryMs) progress.delete(peer)
  }
  return notices
}

function refused(from: string, code: ErrorCode, reason: string, hint?: string): JobNotice {
  return { kind: 'refused', from, code, reason, ...(hint !== undefined && { hint }) }
}

type Input<Kind extends JobsInput['kind']> = Extract<JobsInput, { kind: Kind }>
