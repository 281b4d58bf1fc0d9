/**
 * Messages that came before the plan they belong to: leader, contributors and reducers have links of their own, so a
 * part can overtake the plan. They wait here, in order, for at most a bounded number of bytes; what does not fit is
 * dropped, and pulled later by whoever needs it.
 */

import type { Inspection } from './events.ts'
import type { Part, Reassign, Result, Seal, Sum } from './vocabulary.ts'

export interface EarlyMessage {
  from: string
  message: Part | Sum | Result | Reassign | Seal
  inspection: Inspection | undefined
}

/** What a message costs besides its data. */
const envelopeBytes = 256

export class Early {
  readonly #bytesMax: number
  #entries: EarlyMessage[] = []
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** False when there is no room. */
  put(entry: EarlyMessage): boolean {
    const bytes = bytesOf(entry)
    if (this.#bytes + bytes > this.#bytesMax) return false
    this.#entries.push(entry)
    this.#bytes += bytes
    return true
  }

  /** Removes and returns the messages of plans that are known now, in the order of arrival. */
  take(isKnown: (planId: string) => boolean): EarlyMessage[] {
    const taken = this.#entries.filter(({ message }) => isKnown(message.planId))
    if (taken.length === 0) return taken
    this.#entries = this.#entries.filter(({ message }) => !isKnown(message.planId))
    this.#bytes = this.#entries.reduce((sum, entry) => sum + bytesOf(entry), 0)
    return taken
  }
}

function bytesOf({ message }: EarlyMessage): number {
  return envelopeBytes + ('bytes' in message ? message.bytes.length : 0)
}
