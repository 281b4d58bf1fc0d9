/**
 * The results of one round that this peer holds: by plan, part and digest. Usually one for each part; a reducer that
 * was taken for dead can leave a second one, and the seal says which of them counts.
 *
 * One that a seal names is always kept. Of others a sender has a share, so that a reducer that says something else each
 * time fills its own and nobody's else. One that no seal names any more is such another: or a leader that seals something
 * else each time would have all of it kept.
 */

import type { Result } from './vocabulary.ts'

export interface HeldResult {
  digest: string
  message: Result
}

interface Kept extends HeldResult {
  /** From whom it came; undefined: this peer made it, or accepted it in a former life, and keeps it. */
  sender: string | undefined
  /** A seal that is known here names it. */
  isNamed: boolean
}

/** Who said a result, and whether a seal that is known here names it. */
export interface Source {
  /** Undefined: this peer made it. */
  sender: string | undefined
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
    const kept = { digest, message, sender, isNamed }
    if (!hasRoom(versions, kept)) return false
    const parts = this.#plans.get(planId) ?? new Map<number, Kept[]>()
    this.#plans.set(planId, parts)
    parts.set(part, [...versions, kept])
    return true
  }

  /** Keeps what this peer accepted in a former life, however many versions there are. */
  recall(message: Result, digest: string): void {
    if (this.get(message.planId, message.part, digest) !== undefined) return
    const parts = this.#plans.get(message.planId) ?? new Map<number, Kept[]>()
    this.#plans.set(message.planId, parts)
    const versions = parts.get(message.part) ?? []
    parts.set(message.part, [{ digest, message, sender: undefined, isNamed: true }, ...versions])
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

  /** Looks again at which results a seal names: one that none does any more is dropped, unless it finds room. */
  rename(isNamed: (planId: string, part: number, digest: string) => boolean): void {
    for (const [planId, parts] of this.#plans) {
      for (const [part, versions] of parts) {
        const kept: Kept[] = []
        for (const held of versions) {
          const renamed = { ...held, isNamed: isNamed(planId, part, held.digest) }
          if (hasRoom(kept, renamed)) kept.push(renamed)
        }
        parts.set(part, kept)
      }
    }
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

/** True when `result` may be kept beside `others` of its part. */
function hasRoom(others: readonly Kept[], { isNamed, sender }: Kept): boolean {
  if (isNamed || sender === undefined) return true
  const unnamed = others.filter((held) => !held.isNamed && held.sender !== undefined)
  const own = unnamed.filter((held) => held.sender === sender).length
  return own < versionsOfSenderMax && unnamed.length < versionsMax
}
