/**
 * Makes up for gossip that was missed: compares this peer's list of jobs with another's, and fetches the jobs that are
 * not known here and the endings that have not been heard. When and with whom is the service's business.
 */

import { isAbort } from '../core/errors.ts'
import { jobsMax } from '../core/limits.ts'
import type { JobSummary } from './messages.ts'
import { type JobRecord, statusOf } from './record.ts'
import type { RemoteJobs } from './remote.ts'
import type { Newcomer } from './room.ts'
import type { SignedJob, SignedStatement } from './signed.ts'

/** This peer's registry, as far as a comparison needs it. */
export interface Registry {
  get(job: string): JobRecord | undefined
  /** True when a job that is not known here would be kept. */
  hasRoom(newcomer: Newcomer): boolean
  /** Takes a job, if it is not known yet, and what was said about it. @throws {SwarmError} when the job is refused. */
  takeUp(signed: SignedJob, from: string, said: readonly SignedStatement[]): void
}

export class Comparison {
  readonly #registry: Registry
  /** Jobs that were refused, oldest first, so that they are not fetched again each time. */
  readonly #declined = new Set<string>()

  constructor(registry: Registry) {
    this.#registry = registry
  }

  /**
   * Learns what `peer` knows. A job that cannot be had or is refused does not keep the others from being learnt.
   * @throws {SwarmError} when the peer does not answer; AggregateError of what went wrong with single jobs.
   */
  async with(peer: string, remote: RemoteJobs, { signal }: { signal: AbortSignal }): Promise<void> {
    const failures: unknown[] = []
    for (const summary of await remote.list({ signal })) {
      if (!this.#isNews(summary) || this.#declined.has(summary.job)) continue
      try {
        await this.#learn(peer, remote, summary.job, signal)
      } catch (error) {
        if (isAbort(error)) throw error
        failures.push(error)
      }
    }
    if (failures.length > 0) throw new AggregateError(failures)
  }

  #isNews(summary: JobSummary): boolean {
    const known = this.#registry.get(summary.job)
    if (known === undefined) return this.#registry.hasRoom(summary)
    return summary.status !== 'open' && statusOf(known) === 'open'
  }

  async #learn(peer: string, remote: RemoteJobs, job: string, signal: AbortSignal): Promise<void> {
    const { statements, ...signed } = await remote.show(job, { signal })
    try {
      this.#registry.takeUp(signed, peer, statements)
    } catch (error) {
      this.#decline(job)
      throw error
    }
  }

  #decline(job: string): void {
    this.#declined.add(job)
    // as many as one peer can list, so that no single peer's jobs are declined in turns
    if (this.#declined.size > jobsMax) this.#declined.delete([...this.#declined][0]!)
  }
}
