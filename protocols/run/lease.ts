/**
 * Who trains on which samples. A round's leases are a pure function of the state, so no peer has to ask for one:
 *
 *     position = cursor + step · width · batch + index · batch + k        (k = 0 … batch − 1)
 *
 * `width` is the number of leaseholders, `index` a peer's place among them. The positions of one step are contiguous
 * over all peers; so with one local step, `width` peers with batch `b` draw exactly the samples that one machine with
 * batch `width · b` draws, in the same order. The lease of a peer that dies is not handed on: its samples come around
 * again in the next epoch.
 */

export interface Lease {
  /** Sample positions of each local step: `positions[step][k]`. */
  positions: number[][]
}

export interface LeaseRequest {
  /** Samples leased in earlier rounds. */
  cursor: number
  /** Leaseholders of the round, >= 1. */
  width: number
  /** This peer's place among them, 0 … width − 1. */
  index: number
  /** Samples of one step on one peer, >= 1. */
  batch: number
  /** Local steps of the round, >= 1. */
  steps: number
}

/** The samples that one peer trains on in one round. */
export function leaseFor({ cursor, width, index, batch, steps }: LeaseRequest): Lease {
  const positions = Array.from({ length: steps }, (_, step) => {
    const start = cursor + (step * width + index) * batch
    return Array.from({ length: batch }, (_, k) => start + k)
  })
  return { positions }
}

/** Where the leases of the next round start. */
export function nextCursor({ cursor, width, batch, steps }: Omit<LeaseRequest, 'index'>): number {
  return cursor + steps * width * batch
}
