/**
 * The homes that simulated peers stand in: how fast their links are, where on the map, and how long they stay.
 *
 *     uplink    log-normal, median 20 Mbit/s, σ 0.9, from 2 to 200      downlink  five times that
 *     regions   five, alike in size, at the distances of cloud regions   last mile 5 to 30 ms there and back
 *     sessions  Weibull of shape 0.5: most are short, a few very long; seen at a random moment of each
 *
 * The speeds and sessions are assumptions: no public trace of home peers that train was found.
 */

import type { Place } from '../../protocols/allreduce/plan/plan.ts'
import type { Random } from '../../protocols/core/random.ts'

/** One peer's home. */
export interface Home {
  /** Bytes per millisecond. */
  up: number
  down: number
  place: Place
  /** One way, milliseconds, between the peer and its region. */
  lastMileMs: number
}

const bytesPerMsOfMbit = 125

/**
 * Milliseconds one way, laid out so that their distances are half the round trips between cloud regions (US east at 0).
 */
const regions: readonly Place[] = [
  [0, 0], // US east
  [34, 0], // US west: 68 ms there and back
  [-42, 0], // Europe: 85 ms
  [86, 0], // Japan: 104 ms from US west
  [115, 20], // South-east Asia: 167 ms from US west
]

/** A home at random. */
export function drawHome(random: Random): Home {
  const upMbit = Math.min(200, Math.max(2, 20 * Math.exp(0.9 * random.normal())))
  const up = upMbit * bytesPerMsOfMbit
  const place = regions[random.integer(regions.length)]!
  return { up, down: 5 * up, place, lastMileMs: (5 + 25 * random.next()) / 2 }
}

/** Milliseconds that a message takes from one home to the other, once it is sent. */
export function delayMs(a: Home, b: Home): number {
  return Math.hypot(a.place[0] - b.place[0], a.place[1] - b.place[1]) + a.lastMileMs + b.lastMileMs
}

const hourMs = 3_600_000

/**
 * How long, in milliseconds, a peer that is here at a random moment stays, when `churn` (in [0, 1)) of the present
 * peers leave within an hour. With shape ½ and scale s a session seen at random stays longer than t with probability
 * (1 + y) · e^−y, y = √(t / s) (the survival function's integral over its mean, 2s).
 */
export function drawStayMs(churn: number, random: Random): number {
  if (churn === 0) return Number.POSITIVE_INFINITY
  const scaleMs = hourMs / inverseStay(1 - churn) ** 2
  return scaleMs * inverseStay(1 - random.next()) ** 2
}

/** y >= 0 at which (1 + y) · e^−y is `share`, in (0, 1]. */
function inverseStay(share: number): number {
  let low = 0
  let high = 64 // the share left there is below 2^-32, the least that chance gives
  for (let halving = 0; halving < 60; halving++) {
    const middle = (low + high) / 2
    if ((1 + middle) * Math.exp(-middle) > share) low = middle
    else high = middle
  }
  return high
}
