/**
 * Makes up for gossip that was missed: compares this peer's list of jobs with another's, and fetches the jobs that are not
 * known here and the endings that have not been heard. When and with whom is the service's business.
 */

import { isAbort } from '../core/errors.ts'
import { jobsMax } from '../core/limits.ts'
import { type JobRecord, statusOf } from './record.ts'
import type { RemoteJobs } from './remote.ts'
import type { SignedJob, SignedStatement } from './signed.ts'

/** This peer's registry, as far as a comparison needs it. */
export interface Registry {
  get(job: string): JobRecord | undefined
  /** @throws {SwarmError} when the job is refused. */
  takeUp(signed: SignedJob, from: string): void
  takeStatement(signed: SignedStatement, from: string): void
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
    for (const { job, status } of await remote.list({ signal })) {
      const known = this.#registry.get(job)
      const isNews = known === undefined || (status !== 'open' && statusOf(known) === 'open')
      if (!isNews || this.#declined.has(job)) continue
      try {
        await this.#learn(peer, remote, job, signal)
      } catch (error) {
        if (isAbort(error)) throw error
        failures.push(error)
      }
    }
    if (failures.length > 0) throw new AggregateError(failures)
  }

  async #learn(peer: string, remote: RemoteJobs, job: string, signal: AbortSignal): Promise<void> {
    const { statements, ...signed } = await remote.show(job, { signal })
    try {
      this.#registry.takeUp(signed, peer)
    } catch (error) {
      this.#decline(job)
      throw error
    }
    for (const statement of statements) this.#registry.takeStatement(statement, peer)
  }

  #decline(job: string): void {
    this.#declined.add(job)
    // as many as one peer can list, so that no single peer's jobs are declined in turns
    if (this.#declined.size > jobsMax) this.#declined.delete([...this.#declined][0]!)
  }
}
