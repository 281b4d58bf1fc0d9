/**
 * Where a peer is on the map of round trips, found out without asking anybody but those it is connected with: Vivaldi
 * (Dabek, Cox, Kaashoek and Morris, SIGCOMM 2004), in two dimensions and a height.
 *
 *     predicted(a, b) = |a − b| + height_a + height_b        the height is the way to the net, part of every round trip
 *
 * Each measured round trip is a spring of that length between two peers: it pulls or pushes this one, the more the less
 * sure it is of itself beside the other. A peer that lies about where it is misplaces its neighbours by a quarter of
 * its lie at most each time; rows are then badly chosen, and nothing else. Pure but for its own memory; who is
 * measured, and when, is `service.ts`'s matter.
 */

import type { Random } from '../core/random.ts'

/** A place on the map and what is known of it. All but `error` in milliseconds of round trip. */
export interface Coordinates {
  x: number
  y: number
  /** >= 0. */
  height: number
  /** How far off predictions are, relative to the round trips, in (0, 1]: 1 for one that knows nothing yet. */
  error: number
}

/**
 * How much of the distance to the measured length a spring moves a peer, and how fast its error follows (both 0.25 in
 * the paper).
 */
const correction = 0.25
const errorCorrection = 0.25

/** Least height: a way of nothing would be one that no measurement could lengthen. */
const heightMin = 0.1

/** Least error: who were surer would hardly move any more when its network changes. */
export const errorMin = 0.01

/** Shorter round trips count as this: clocks tick in milliseconds, and within one every error is a large part. */
const rttMsMin = 1

/** Coordinates beyond are no place on earth: the longest round trips over two satellites are below. */
export const coordinateMax = 4_000

/** Round trips from which a place is said: with fewer it is chance. */
const samplesMin = 8

/**
 * Error up to which it is said: on a loaded machine, or on loopback, round trips are noise, and places of noise order
 * nothing.
 */
const placeErrorMax = 0.5

export class Vivaldi {
  readonly #random: Random
  #own: Coordinates = { x: 0, y: 0, height: heightMin, error: 1 }
  #samples = 0

  /** `random`: in which direction two peers of one place are pushed apart. */
  constructor(random: Random) {
    this.#random = random
  }

  /** What others may know; undefined before anything was measured. */
  get coordinates(): Coordinates | undefined {
    return this.#samples === 0 ? undefined : this.#own
  }

  /** Where this peer is, in whole milliseconds of one way; undefined while that is chance. */
  get place(): readonly [number, number] | undefined {
    const { x, y, error } = this.#own
    if (this.#samples < samplesMin || error > placeErrorMax) return undefined
    return [Math.round(x / 2) + 0, Math.round(y / 2) + 0] // never minus zero, of which a copy is another number
  }

  /** Takes a round trip of `rttMs` >= 0 with a peer that is at `theirs`. */
  observe(rttMs: number, theirs: Coordinates): void {
    const own = this.#own
    const rtt = Math.max(rttMsMin, rttMs)
    const predicted = predictedRttMs(own, theirs)
    const weight = own.error / (own.error + theirs.error)
    const miss = Math.abs(predicted - rtt) / rtt
    const step = correction * weight * (rtt - predicted)
    const gap = Math.hypot(own.x - theirs.x, own.y - theirs.y)
    const angle = gap > 0 ? Math.atan2(own.y - theirs.y, own.x - theirs.x) : 2 * Math.PI * this.#random.next()
    const level = gap > 0 ? gap / predicted : 0.5
    this.#own = {
      x: bounded(own.x + step * level * Math.cos(angle)),
      y: bounded(own.y + step * level * Math.sin(angle)),
      height: Math.min(coordinateMax, Math.max(heightMin, own.height + step * (1 - level))),
      error: Math.min(1, Math.max(errorMin, own.error + errorCorrection * weight * (miss - own.error))),
    }
    this.#samples++
  }
}

/** The round trip between two places, in milliseconds, > 0. */
export function predictedRttMs(a: Coordinates, b: Coordinates): number {
  return Math.hypot(a.x - b.x, a.y - b.y) + a.height + b.height
}

function bounded(value: number): number {
  return Math.min(coordinateMax, Math.max(-coordinateMax, value))
}
