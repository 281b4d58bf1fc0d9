/**
 * The results of one round that this peer holds: by plan, part and digest. Usually one for each part; a reducer that
 * was taken for dead can leave a second one, and the seal says which of them counts.
 */

import type { Result } from './vocabulary.ts'

export interface HeldResult {
  digest: string
  message: Result
}

/** Results of one part: its reducer's, and one for each reassignment. More are not kept. */
const versionsMax = 4

export class Results {
  readonly #plans = new Map<string, Map<number, HeldResult[]>>()
  #isReleased = false

  /** Keeps `message`; false when it is here already, the part has all its versions, or all were released. */
  add(message: Result, digest: string): boolean {
    if (this.#isReleased) return false
    const { planId, part } = message
    const parts = this.#plans.get(planId) ?? new Map<number, HeldResult[]>()
    this.#plans.set(planId, parts)
    const versions = parts.get(part) ?? []
    parts.set(part, versions)
    if (versions.length >= versionsMax || versions.some((held) => held.digest === digest)) return false
    versions.push({ digest, message })
    return true
  }

  /** Keeps what this peer accepted in a former life, however many versions there are. */
  recall(message: Result, digest: string): void {
    if (this.get(message.planId, message.part, digest) !== undefined) return
    const parts = this.#plans.get(message.planId) ?? new Map<number, HeldResult[]>()
    this.#plans.set(message.planId, parts)
    parts.set(message.part, [{ digest, message }, ...(parts.get(message.part) ?? [])])
  }

  /** The result with `digest`, or the first that came when it is undefined. */
  get(planId: string, part: number, digest?: string): HeldResult | undefined {
    const versions = this.#plans.get(planId)?.get(part)
    return digest === undefined ? versions?.[0] : versions?.find((held) => held.digest === digest)
  }

  has(planId: string, part: number): boolean {
    return this.#plans.get(planId)?.has(part) ?? false
  }

  /** Parts of the plan that have at least one result here. */
  count(planId: string): number {
    return this.#plans.get(planId)?.size ?? 0
  }

  /** Drops everything, and keeps nothing any more. */
  release(): void {
    this.#plans.clear()
    this.#isReleased = true
  }

  /** Drops the results of every plan that is not in `planIds`. */
  keepOnly(planIds: ReadonlySet<string>): void {
    for (const planId of this.#plans.keys()) if (!planIds.has(planId)) this.#plans.delete(planId)
  }
}
