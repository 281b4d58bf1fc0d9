/**
 * The coordinator: watches the run of every job that names it, and judges. It takes no part in training or averaging,
 * and a run goes on without it.
 *
 * Its network, kernels and store are arguments: `open` makes ready whatever one job needs to be measured. Each watch
 * lives on its own; one that fails is tried again, and does not touch the others. An owner who waits in vain is told
 * why: what may pass after some tries, what no try can mend at once, and both once more when the job's minutes are used
 * up.
 */

import { type Clock, sleep } from '../protocols/core/clock.ts'
import { type ErrorCode, SwarmError } from '../protocols/core/errors.ts'
import type { JobNotice, JobRecord, Statement, Verdict } from '../protocols/jobs/index.ts'
import { isFinal, statementKind, statusOf, watchingReason } from '../protocols/jobs/index.ts'
import type { BlockFetch } from '../protocols/run/ports.ts'
import { Turns } from './turns.ts'
import { type JobsFace, RunWatch, type WatchEvent, type WatchInit } from './watch.ts'

export type { Measurement, WatchEvent } from './watch.ts'

/** What one job needs to be measured. */
export type OpenJob = Pick<WatchInit, 'expected' | 'first' | 'measure' | 'keep'> & { close(): Promise<void> }

export interface CoordinatorInit {
  /** This peer's id: jobs that do not name it are left alone. */
  self: string
  jobs: JobsFace & {
    on(listener: (notice: JobNotice) => void): () => void
    publishStatement(statement: Statement): Promise<void>
  }
  blocks: BlockFetch
  onPeerGone: WatchInit['onPeerGone']
  /** Fetches the job's model and data, and compiles what measures it. */
  open(record: JobRecord, options: { signal: AbortSignal }): Promise<OpenJob>
  clock: Clock
  /** Milliseconds since 1970. */
  epochMs(): number
  onEvent?(event: CoordinatorEvent): void
}

export type CoordinatorEvent =
  | { kind: 'taken-up'; job: string; name: string }
  | { kind: 'watching'; job: string; seconds: number }
  /** It is tried again before anybody is told. */
  | { kind: 'retrying'; job: string; error: unknown }
  /** The owner has been told. */
  | { kind: 'failed'; job: string; error: unknown }
  | { kind: 'run'; job: string; event: WatchEvent }

/**
 * Before the second try, doubling with each that fails: most of what passes by itself has passed after some seconds.
 */
const retryMsMin = 1_000

/** The rest waits for a person, who frees some disk or memory. */
const retryMsMax = 60_000

/** Between tries that no retry can mend: they only wait for the end of the job's minutes. */
const hopelessMs = 3_600_000

/** Tries that fail before the owner is told of what may pass. */
const quietTries = 3

/** What is wrong with the job itself: a later try cannot mend it. */
const faultsOfJobs: ReadonlySet<ErrorCode> = new Set([
  'JOB_INVALID',
  'DATA_INVALID',
  'MODEL_INVALID',
  'MODEL_UNSUPPORTED',
])

/** Bytes of a statement's reason are bounded on the wire. */
const reasonLengthMax = 500

export class Coordinator {
  readonly #init: CoordinatorInit
  readonly #opening: Turns
  readonly #stopping = new AbortController()
  readonly #watches = new Map<string, Promise<void>>()
  readonly #stopListening: () => void

  constructor(init: CoordinatorInit) {
    this.#init = init
    this.#opening = new Turns(init.clock)
    this.#stopListening = init.jobs.on((notice) => {
      if (notice.kind === 'added') this.watch(notice.record)
    })
  }

  /** Watches the run of `record` until it ends, if it is open and its manifest names this coordinator. */
  watch(record: JobRecord): void {
    const { job, manifest } = record
    if (this.#watches.has(job) || !manifest.coordinators.includes(this.#init.self)) return
    if (statusOf(record) !== 'open') return
    this.#watches.set(
      job,
      this.#run(record).finally(() => this.#watches.delete(job)),
    )
    this.#init.onEvent?.({ kind: 'taken-up', job, name: manifest.name })
  }

  /** Leaves all runs as they are. */
  async close(): Promise<void> {
    this.#stopListening()
    this.#stopping.abort(new SwarmError('PEER_GONE', 'the coordinator stops'))
    await Promise.all(this.#watches.values())
  }

  async #run(record: JobRecord): Promise<void> {
    const { job } = record
    const ended = new AbortController()
    const unfollow = this.#init.jobs.on((notice) => {
      if (endsJob(notice, job)) ended.abort()
    })
    const signal = AbortSignal.any([this.#stopping.signal, ended.signal])
    try {
      for (let tries = 1; ; tries++) {
        try {
          return await this.#watchOnce(record, signal)
        } catch (error) {
          signal.throwIfAborted()
          await this.#waitToRetry(record, { error, tries }, signal)
        }
      }
    } catch (error) {
      if (!signal.aborted) this.#init.onEvent?.({ kind: 'failed', job, error })
    } finally {
      unfollow()
    }
  }

  /** `signal` aborts also when the job ends before its watch has begun; the watch itself sees that. */
  async #watchOnce(record: JobRecord, signal: AbortSignal): Promise<void> {
    const { job, manifest } = record
    const { jobs, blocks, onPeerGone, clock, epochMs, onEvent } = this.#init
    const opened = await this.#opening.take(async () => {
      signal.throwIfAborted()
      const startedMs = clock.now()
      const opened = await this.#init.open(record, { signal })
      onEvent?.({ kind: 'watching', job, seconds: (clock.now() - startedMs) / 1000 })
      return opened
    })
    try {
      // from here on the owner may go: model and data are here, and peers get them
      await this.#say(job, 'continue', watchingReason)
      await new RunWatch({
        job,
        rules: manifest.convergence,
        classes: manifest.data.classes,
        ...opened,
        jobs,
        blocks,
        onPeerGone,
        clock,
        epochMs,
        createdMs: manifest.created,
        onEvent: (event) => onEvent?.({ kind: 'run', job, event }),
      }).run({ signal: this.#stopping.signal })
    } finally {
      await opened.close()
    }
  }

  /** Tells who should know of the failure, ends the job when its minutes are used up, and waits. */
  async #waitToRetry(
    record: JobRecord,
    { error, tries }: { error: unknown; tries: number },
    signal: AbortSignal,
  ): Promise<void> {
    const { job, manifest } = record
    const { maxMinutes } = manifest.convergence
    const leftMs = manifest.created + maxMinutes * 60_000 - this.#init.epochMs()
    const isHopeless = error instanceof SwarmError && faultsOfJobs.has(error.code)
    const reason = `the coordinator cannot measure the run: ${error instanceof Error ? error.message : error}`
    const isTold = isHopeless || tries > quietTries
    this.#init.onEvent?.({ kind: isTold ? 'failed' : 'retrying', job, error })
    try {
      if (isTold && leftMs <= 0)
        await this.#say(job, 'out-of-budget', `the ${maxMinutes} minutes are used up, and ${reason}`)
      else if (isTold && record.verdict?.statement.reason !== cut(reason))
        await this.#say(job, 'continue', reason)
    } catch (cause) {
      signal.throwIfAborted()
      // nobody hears of it this time; the next try says it again
      this.#init.onEvent?.({ kind: 'retrying', job, error: cause })
    }
    const waitMs = isHopeless ? hopelessMs : Math.min(retryMsMax, retryMsMin * 2 ** (tries - 1))
    await sleep(this.#init.clock, leftMs > 0 ? Math.min(waitMs, leftMs) : waitMs, { signal })
  }

  async #say(job: string, verdict: Verdict['verdict'], reason: string): Promise<void> {
    await this.#init.jobs.publishStatement({
      kind: statementKind.verdict,
      job,
      at: this.#init.epochMs(),
      verdict,
      reason: cut(reason),
      state: null,
      value: null,
      rounds: 0,
    })
  }
}

function endsJob(notice: JobNotice, job: string): boolean {
  if (notice.kind === 'refused' || notice.job !== job) return false
  if (notice.kind === 'verdict') return isFinal(notice.verdict)
  return notice.kind === 'stopped' || notice.kind === 'forgotten'
}

function cut(reason: string): string {
  return reason.slice(0, reasonLengthMax)
}
