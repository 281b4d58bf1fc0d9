/**
 * What a coordinator must not forget when it is restarted: the signed manifests, and everything that was signed about each
 * run. One dag-cbor file a job, `{ envelope, statements }`, written to a temporary name and renamed.
 */

import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as dagCbor from '@ipld/dag-cbor'
import { SwarmError } from '../protocols/core/errors.ts'
import type { Jobs } from '../protocols/jobs/index.ts'

interface StoredJob {
  envelope: Uint8Array
  statements: Uint8Array[]
}

export class JobRecords {
  readonly #folder: string
  readonly #jobs: Jobs
  /** Writes of one job follow each other. */
  readonly #writing = new Map<string, Promise<void>>()

  constructor(folder: string, jobs: Jobs) {
    this.#folder = folder
    this.#jobs = jobs
  }

  /** Takes up the jobs of an earlier life again, and from now on writes down what changes. Expired ones are deleted. */
  async restore(): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    const names = await readdir(this.#folder)
    for (const name of names.filter((name) => name.endsWith('.cbor'))) {
      const path = join(this.#folder, name)
      const { envelope, statements } = decode(await readFile(path))
      try {
        await this.#jobs.recall(envelope, statements)
      } catch (error) {
        if (!(error instanceof SwarmError)) throw error
        await rm(path)
      }
    }
    this.#jobs.on((notice) => {
      if (notice.kind === 'refused' || notice.kind === 'progress') return
      if (notice.kind !== 'forgotten') this.#write(notice.job)
    })
  }

  #write(job: string): void {
    const last = this.#writing.get(job) ?? Promise.resolve()
    this.#writing.set(
      job,
      last.then(() => this.#writeNow(job)),
    )
  }

  async #writeNow(job: string): Promise<void> {
    const record = this.#jobs.get(job)
    if (record === undefined) return
    const { envelope, evaluations, verdict, stop } = record
    const signed = [...evaluations, verdict, stop].filter((statement) => statement !== undefined)
    const path = join(this.#folder, `${job}.cbor`)
    await writeFile(
      `${path}.new`,
      dagCbor.encode({ envelope, statements: signed.map((statement) => statement.envelope) }),
    )
    await rename(`${path}.new`, path)
  }
}

/** Written by this program; what it holds is signed, and checked when it is recalled. */
function decode(bytes: Uint8Array): StoredJob {
  return dagCbor.decode<StoredJob>(bytes)
}
