/**
 * How fast this peer's own link is, measured from the parts and results that it sent and received in earlier rounds:
 * what its commits say as `bandwidth`, and shares are sized by. Knows bytes and times only.
 *
 *     up     bytes that the links took, over the time in which anything waited to be taken
 *     down   bytes that arrived, over the time between arrivals that followed each other closely
 *
 * Both are what the link carried, not what it could have carried: a peer that was never kept busy has no measurement,
 * and counts as the mean of the others. The lesser of the two bounds a reducer, since what it sums it receives and
 * returns.
 */

/**
 * Shorter samples tell how large the buffers of the kernel and the muxer are, not how fast the link is: at 100 Mbit/s a
 * quarter of a second is 3 MiB, about what one connection takes without sending it.
 */
const sampleMsMin = 250

/**
 * Arrivals further apart than this are two bursts: the sender had nothing to send. Three times the jitter of a bad
 * link.
 */
const burstGapMs = 100

/** Weight of the newest round in the moving average: a link that changed is believed after two or three rounds. */
const newestShare = 0.5

/** One direction: bytes over busy time, averaged over rounds. */
class Rate {
  #bytes = 0
  #busyMs = 0
  #average: number | undefined

  add(bytes: number, busyMs: number): void {
    this.#bytes += bytes
    this.#busyMs += busyMs
  }

  /** Bytes per second over all samples so far, the newest counting most; undefined before the first. */
  settle(): number | undefined {
    if (this.#busyMs >= sampleMsMin) {
      const sample = (this.#bytes * 1000) / this.#busyMs
      this.#average =
        this.#average === undefined ? sample : this.#average + newestShare * (sample - this.#average)
      this.#bytes = 0
      this.#busyMs = 0
    }
    return this.#average
  }
}

export class Throughput {
  readonly #up = new Rate()
  readonly #down = new Rate()
  #sending = 0
  #busySinceMs = 0
  #arrivedAtMs = Number.NEGATIVE_INFINITY

  /** A frame of data was handed to its link. */
  sendStarted(nowMs: number): void {
    if (this.#sending++ === 0) this.#busySinceMs = nowMs
  }

  /** The link took it; `bytes` is 0 when it broke. */
  sendEnded(bytes: number, nowMs: number): void {
    this.#sending--
    this.#up.add(bytes, nowMs - this.#busySinceMs)
    this.#busySinceMs = nowMs
  }

  /** A frame of data arrived. The first of a burst began to arrive at an unknown time, so it is not counted. */
  arrived(bytes: number, nowMs: number): void {
    const gapMs = nowMs - this.#arrivedAtMs
    this.#arrivedAtMs = nowMs
    if (gapMs <= burstGapMs) this.#down.add(bytes, gapMs)
  }

  /** Bytes per second, > 0; undefined before there was enough to measure. To be asked once a round. */
  settle(): number | undefined {
    const rates = [this.#up.settle(), this.#down.settle()].filter((rate) => rate !== undefined && rate > 0)
    return rates.length === 0 ? undefined : Math.min(...(rates as number[]))
  }
}
