/**
 * How fast a peer works, as its commits say and plans repeat: what the next round's leases and its number of local
 * steps follow. It is measured by the peer and checked by nobody: a peer that boasts gets more samples than it can
 * train on, and its update counts for what it did.
 */

import type { Fields } from '../../core/fields.ts'

export interface Pace {
  /** Training, over the last rounds; > 0. */
  samplesPerSecond: number
  /** From giving an update to having the mean of it, over the last rounds; 0 before the first. */
  averagingMs: number
}

/** Samples per second: a million times what a phone trains of the smallest model. */
const rateMax = 1e9

/** Three hours: no round takes as long. */
const averagingMsMax = 1e7

/** The keys of a map that say `pace`; none while it is not measured. */
export function encodePace(pace: Pace | undefined): Record<string, unknown> {
  return pace === undefined ? {} : { rate: pace.samplesPerSecond, averagingMs: pace.averagingMs }
}

/**
 * What those keys say.
 * @throws {SwarmError} MESSAGE_INVALID naming the field that is wrong.
 */
export function decodePace(f: Fields): { pace?: Pace } {
  if (!f.has('rate')) return {}
  const samplesPerSecond = f.quantity('rate', rateMax)
  return { pace: { samplesPerSecond, averagingMs: f.quantity('averagingMs', averagingMsMax) } }
}
