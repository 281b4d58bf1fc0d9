/**
 * What a peer codes its updates in: the job's codec, or a coarser one that the job names, where bytes cost more than
 * they are worth.
 */

import type { CodecName } from '../wire/codecs/codec.ts'
import type { LocalWork } from './local-work.ts'
import type { RunPlan } from './plan.ts'

/**
 * A link is slow when averages take longer than the steps between them: then half of this peer's time is spent on
 * bytes. Once it codes more coarsely it goes on until they take under a quarter, since int4 alone halves them.
 */
const slowShare = { from: 1, until: 0.25 }

export class CodecChoice {
  readonly #plan: Pick<RunPlan, 'smallCodec' | 'slowCodec'>
  #hasSlowLink = false

  constructor(plan: Pick<RunPlan, 'smallCodec' | 'slowCodec'>) {
    this.#plan = plan
  }

  /**
   * For the update that `work` gained; undefined: the job's codec. `averagingMs`: what an average takes, 0 before the
   * first. `savesData`: this peer's bytes are scarce now.
   */
  of(
    work: Pick<LocalWork, 'samples' | 'rate'>,
    averagingMs: number,
    savesData: boolean,
  ): CodecName | undefined {
    const { smallCodec, slowCodec } = this.#plan
    const trainingMs = (1000 * work.samples) / work.rate
    this.#hasSlowLink = averagingMs > (this.#hasSlowLink ? slowShare.until : slowShare.from) * trainingMs
    if (savesData) return smallCodec
    return this.#hasSlowLink ? slowCodec : undefined
  }
}
