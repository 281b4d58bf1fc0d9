/**
 * The coordinator: watches the run of every job that names it, and judges. It takes no part in training or averaging, and
 * a run goes on without it.
 *
 * Its network, kernels and store are arguments: `open` makes ready whatever one job needs to be measured. Each watch lives
 * on its own; one that fails is reported and does not touch the others.
 */

import type { Clock } from '../protocols/core/clock.ts'
import { SwarmError } from '../protocols/core/errors.ts'
import type { JobNotice, SignedJob, Statement } from '../protocols/jobs/index.ts'
import { statementKind } from '../protocols/jobs/index.ts'
import type { BlockFetch } from '../protocols/run/ports.ts'
import { type JobsFace, RunWatch, type WatchEvent, type WatchInit } from './watch.ts'

export type { Measurement, WatchEvent } from './watch.ts'

/** What one job needs to be measured. */
export type OpenJob = Pick<WatchInit, 'expected' | 'measure' | 'keep'> & { close(): Promise<void> }

export interface CoordinatorInit {
  /** This peer's id: jobs that do not name it are left alone. */
  self: string
  jobs: JobsFace & {
    on(listener: (notice: JobNotice) => void): () => void
    publishStatement(statement: Statement): Promise<void>
  }
  blocks: BlockFetch
  /** Fetches the job's model and data, and compiles what measures it. */
  open(signed: SignedJob, options: { signal: AbortSignal }): Promise<OpenJob>
  clock: Clock
  /** Milliseconds since 1970. */
  epochMs(): number
  onEvent?(event: CoordinatorEvent): void
}

export type CoordinatorEvent =
  | { kind: 'taken-up'; job: string; name: string }
  | { kind: 'watching'; job: string; seconds: number }
  | { kind: 'failed'; job: string; error: unknown }
  | { kind: 'run'; job: string; event: WatchEvent }

export class Coordinator {
  readonly #init: CoordinatorInit
  readonly #stopping = new AbortController()
  readonly #watches = new Map<string, Promise<void>>()
  readonly #stopListening: () => void

  constructor(init: CoordinatorInit) {
    this.#init = init
    this.#stopListening = init.jobs.on((notice) => {
      if (notice.kind === 'added') this.watch(notice.record)
    })
  }

  /** Watches the run of `signed` until it ends, if the manifest names this coordinator. */
  watch(signed: SignedJob): void {
    const { job, manifest } = signed
    if (this.#watches.has(job) || !manifest.coordinators.includes(this.#init.self)) return
    this.#watches.set(job, this.#run(signed))
    this.#init.onEvent?.({ kind: 'taken-up', job, name: manifest.name })
  }

  /** Leaves all runs as they are. */
  async close(): Promise<void> {
    this.#stopListening()
    this.#stopping.abort(new SwarmError('PEER_GONE', 'the coordinator stops'))
    await Promise.all(this.#watches.values())
  }

  async #run(signed: SignedJob): Promise<void> {
    const { job, manifest } = signed
    const { signal } = this.#stopping
    const { jobs, blocks, clock, epochMs, onEvent } = this.#init
    let opened: OpenJob | undefined
    try {
      const startedMs = clock.now()
      opened = await this.#init.open(signed, { signal })
      onEvent?.({ kind: 'watching', job, seconds: (clock.now() - startedMs) / 1000 })
      await this.#sayWatching(job)
      await new RunWatch({
        job,
        rules: manifest.convergence,
        classes: manifest.data.classes,
        ...opened,
        jobs,
        blocks,
        clock,
        epochMs,
        createdMs: manifest.created,
        onEvent: (event) => onEvent?.({ kind: 'run', job, event }),
      }).run({ signal })
    } catch (error) {
      if (!signal.aborted) onEvent?.({ kind: 'failed', job, error })
    } finally {
      await opened?.close()
    }
  }

  /** From here on the owner may go: model and data are here, and peers get them. */
  async #sayWatching(job: string): Promise<void> {
    await this.#init.jobs.publishStatement({
      kind: statementKind.verdict,
      job,
      at: this.#init.epochMs(),
      verdict: 'continue',
      reason: 'the coordinator holds the model and the data, and watches the run',
      state: null,
      value: null,
      rounds: 0,
    })
  }
}
