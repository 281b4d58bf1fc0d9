/**
 * What a coordinator must not forget when it is restarted: the signed manifests, and everything that was signed about
 * each run. One dag-cbor file a job, `{ envelope, statements }`, the old one or the new one whatever happens. A file
 * that cannot be read or written is told, and costs nothing but itself.
 */

import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import * as dagCbor from '@ipld/dag-cbor'
import { hasCode } from '../../protocols/core/errors.ts'
import type { Jobs } from '../../protocols/jobs/index.ts'
import { replaceFile } from './durable-file.ts'

/** What is asked of the jobs protocol. */
export type RecordedJobs = Pick<Jobs, 'recall' | 'on' | 'get' | 'list'>

interface StoredJob {
  envelope: Uint8Array
  statements: Uint8Array[]
}

export class JobRecords {
  readonly #folder: string
  readonly #jobs: RecordedJobs
  readonly #onFailure: (path: string, error: unknown) => void
  /** Writes of one job follow each other. */
  readonly #writing = new Map<string, Promise<void>>()

  /** `onFailure` is told of each file that could not be read or written. */
  constructor(folder: string, jobs: RecordedJobs, onFailure: (path: string, error: unknown) => void) {
    this.#folder = folder
    this.#jobs = jobs
    this.#onFailure = onFailure
  }

  /**
   * Takes up the jobs of an earlier life again, and from now on writes down what changes. Those that are forgotten are
   * deleted.
   * @throws {unknown} `signal.reason`; what the file system says when there can be no folder.
   */
  async restore({ signal }: { signal: AbortSignal }): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    const names = await readdir(this.#folder)
    for (const name of names.filter((name) => name.endsWith('.cbor'))) {
      signal.throwIfAborted()
      await this.#recall(join(this.#folder, name))
    }
    this.#jobs.on((notice) => {
      if (notice.kind !== 'refused' && notice.kind !== 'progress') this.#write(notice.job)
    })
    // what peers told meanwhile: written before the files were read, it would have taken the place of what they hold
    for (const { job } of this.#jobs.list()) this.#write(job)
  }

  async #recall(path: string): Promise<void> {
    try {
      const { envelope, statements } = decode(await readFile(path))
      await this.#jobs.recall(envelope, statements)
    } catch (error) {
      if (hasCode(error, 'EXPIRED')) await rm(path, { force: true })
      else this.#onFailure(path, error)
    }
  }

  #write(job: string): void {
    const path = join(this.#folder, `${job}.cbor`)
    const last = this.#writing.get(job) ?? Promise.resolve()
    const writing = last
      .then(() => this.#writeNow(job, path))
      .catch((error: unknown) => this.#onFailure(path, error))
      .finally(() => {
        if (this.#writing.get(job) === writing) this.#writing.delete(job)
      })
    this.#writing.set(job, writing)
  }

  /** As the job is known by now; nothing of one that is not any more. */
  async #writeNow(job: string, path: string): Promise<void> {
    const record = this.#jobs.get(job)
    if (record === undefined) return rm(path, { force: true })
    const { envelope, evaluations, verdict, stop } = record
    const signed = [...evaluations, verdict, stop].filter((statement) => statement !== undefined)
    const bytes = dagCbor.encode({ envelope, statements: signed.map((statement) => statement.envelope) })
    await replaceFile(path, [bytes])
  }
}

/** Written by this program; what it holds is signed, and checked when it is recalled. */
function decode(bytes: Uint8Array): StoredJob {
  return dagCbor.decode<StoredJob>(bytes)
}
