/**
 * The results of one round that this peer holds: by plan, part and digest. Usually one for each part; a reducer that
 * was taken for dead can leave a second one, and the seal says which of them counts.
 *
 * One that a seal names is always kept. Of others a sender has a share, so that a reducer that says something else each
 * time fills its own and nobody's else.
 */

import type { Result } from './vocabulary.ts'

export interface HeldResult {
  digest: string
  message: Result
}

interface Kept extends HeldResult {
  /** From whom it counts as a version; undefined: a seal named it, or this peer accepted it. */
  sender: string | undefined
}

/** Who said a result, and whether a seal that is known here names it. */
export interface Source {
  sender: string
  isNamed: boolean
}

/** Results of one part by one sender that no seal names: its own, and that of another reducer that it hands on. */
const versionsOfSenderMax = 2

/** Results of one part that no seal names: those of its reducer and of three that took its place. */
const versionsMax = 8

export class Results {
  readonly #plans = new Map<string, Map<number, Kept[]>>()
  #isReleased = false

  /** Keeps `message`; false when it is here already, it finds no room, or all were released. */
  add(message: Result, digest: string, { sender, isNamed }: Source): boolean {
    if (this.#isReleased) return false
    const { planId, part } = message
    const versions = this.#plans.get(planId)?.get(part) ?? []
    if (versions.some((held) => held.digest === digest)) return false
    const unnamed = versions.filter((held) => held.sender !== undefined)
    const own = unnamed.filter((held) => held.sender === sender).length
    if (!isNamed && (own >= versionsOfSenderMax || unnamed.length >= versionsMax)) return false
    const parts = this.#plans.get(planId) ?? new Map<number, Kept[]>()
    this.#plans.set(planId, parts)
    parts.set(part, [...versions, { digest, message, sender: isNamed ? undefined : sender }])
    return true
  }

  /** Keeps what this peer accepted in a former life, however many versions there are. */
  recall(message: Result, digest: string): void {
    if (this.get(message.planId, message.part, digest) !== undefined) return
    const parts = this.#plans.get(message.planId) ?? new Map<number, Kept[]>()
    this.#plans.set(message.planId, parts)
    const versions = parts.get(message.part) ?? []
    parts.set(message.part, [{ digest, message, sender: undefined }, ...versions])
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
