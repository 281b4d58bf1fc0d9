/** What a peer gave to an average, in the numbers that all peers of its round agree on: the next leases follow them. */

/** How fast a peer works, in numbers that all peers of a round agree on. */
export interface Pace {
  /** Training, > 0. */
  samplesPerSecond: number
  /** From giving an update to having the mean of it; 0 before the first. */
  averagingMs: number
}

/** One peer's part in an average. */
export interface Contribution {
  peer: string
  /** Samples behind its update. */
  weight: number
  pace?: Pace | undefined
}
