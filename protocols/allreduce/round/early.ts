/**
 * Messages that came before the plan they belong to: leader, contributors and reducers have links of their own, so a
 * part can overtake the plan. They wait here, in order, for at most a bounded number of bytes, of which each sender has a
 * share. What does not fit is dropped: a result is pulled later by whoever needs it, a seal said again to whoever
 * prepares or asks; a part or a sum is not, and who sent it counts as slow.
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

/** A digest in memory: 64 characters, and what a string and its place in a list take. */
const digestBytes = 96

/** The name of a peer that is gone, or the number of a part that is given to another: at most a peer id's text. */
const nameBytes = 128

export interface EarlyInit {
  bytesMax: number
  /** The most of them that one sender's messages may take, from 0 to 1. */
  shareMax(): number
}

export class Early {
  readonly #init: EarlyInit
  #entries: EarlyMessage[] = []
  /** Sender → bytes of its messages here. */
  readonly #bytesOf = new Map<string, number>()

  constructor(init: EarlyInit) {
    this.#init = init
  }

  /** False when there is no room, or the sender has had its share. */
  put(entry: EarlyMessage): boolean {
    const { bytesMax, shareMax } = this.#init
    const bytes = bytesOf(entry)
    const own = (this.#bytesOf.get(entry.from) ?? 0) + bytes
    let total = bytes
    for (const other of this.#bytesOf.values()) total += other
    if (total > bytesMax || own > bytesMax * shareMax()) return false
    this.#entries.push(entry)
    this.#bytesOf.set(entry.from, own)
    return true
  }

  /** Removes and returns the messages of plans that are known now, in the order of arrival. */
  take(isKnown: (planId: string) => boolean): EarlyMessage[] {
    const taken = this.#entries.filter(({ message }) => isKnown(message.planId))
    if (taken.length === 0) return taken
    this.#entries = this.#entries.filter(({ message }) => !isKnown(message.planId))
    this.#bytesOf.clear()
    for (const entry of this.#entries)
      this.#bytesOf.set(entry.from, (this.#bytesOf.get(entry.from) ?? 0) + bytesOf(entry))
    return taken
  }
}

function bytesOf({ message }: EarlyMessage): number {
  if (message.kind === 'Seal')
    return envelopeBytes + digestBytes * message.digests.length + nameBytes * message.absent.length
  if (message.kind === 'Reassign') return envelopeBytes + nameBytes * message.parts.length
  return envelopeBytes + message.bytes.length
}
