/**
 * What a peer does with its lease: local steps, in pieces of about a second, so that between two of them it can see
 * that the round is closing without it, or take over a new start.
 *
 *     origin ──piece──▶ ──piece──▶ origin − gain          gain = Σ of the pieces' updates
 *                                   rebase: ─▶ other origin − α · gain
 *
 * It owns the gain and the count of samples behind it; the origin is borrowed. It knows no rounds and no peers.
 */

import type { Clock } from '../core/clock.ts'
import type { Lease } from './leases.ts'
import type { Samples, Trainer } from './ports.ts'

/**
 * Length of a piece: a second is what a closing round can wait for one, and copying the parameters costs under 1 % of
 * it.
 */
const pieceSeconds = 1

export interface LocalWorkInit {
  trainer: Trainer
  samples: Samples
  clock: Clock
  /** Gradients are averaged: the lease is one step, and the gain its gradient. */
  isGradient: boolean
  /** Learning rate of the local step at a place of the schedule. */
  learningRate(step: number): number
  /** f32[parameterCount]: where the training starts. Borrowed. */
  origin: Float32Array
  lease: Lease
  /** Samples per second that this peer trained lately; 0: not known. */
  rate: number
}

export class LocalWork {
  readonly #init: LocalWorkInit
  #origin: Float32Array
  readonly #positions: number[][]
  readonly #schedule: number[]
  #next = 0
  #gain: Float32Array | undefined
  #samples = 0
  #lossSum = 0
  #busyMs = 0

  constructor(init: LocalWorkInit) {
    this.#init = init
    this.#origin = init.origin
    this.#positions = [...init.lease.positions]
    this.#schedule = [...init.lease.schedule]
  }

  /** Steps of the lease that are left. */
  get stepsLeft(): number {
    return this.#positions.length - this.#next
  }

  /** Steps that were done. */
  get stepsDone(): number {
    return this.#next
  }

  /** Samples that were trained on. */
  get samples(): number {
    return this.#samples
  }

  /** Samples per second of this work so far; 0 before the first piece. */
  get rate(): number {
    return this.#busyMs > 0 ? (1000 * this.#samples) / this.#busyMs : 0
  }

  /** Mean loss of the samples so far. */
  get loss(): number {
    return this.#lossSum / Math.max(1, this.#samples)
  }

  /**
   * f32[parameterCount]: origin less what it became, or its gradient. The caller's from now on; undefined before the
   * first piece.
   */
  get gain(): Float32Array | undefined {
    return this.#gain
  }

  /** More steps, after those of the lease. */
  extend({ positions, schedule }: Lease): void {
    this.#positions.push(...positions)
    this.#schedule.push(...schedule)
  }

  /**
   * Trains the next piece of the lease.
   * @throws {SwarmError} LOSS_NOT_FINITE when a step gives NaN or infinity; the work is then of no use.
   */
  async trainPiece({ signal }: { signal: AbortSignal }): Promise<void> {
    const { trainer, samples, clock, isGradient, learningRate } = this.#init
    const end = Math.min(this.#positions.length, this.#next + this.#pieceSteps())
    const positions = this.#positions.slice(this.#next, end)
    const startedMs = clock.now()
    const { update, loss } = await trainer.train(
      {
        mode: isGradient ? 'gradient' : 'steps',
        start: this.#start(),
        batches: positions.map((each) => samples.batch(each)),
        learningRates: this.#schedule.slice(this.#next, end).map(learningRate),
      },
      { signal },
    )
    const count = positions.reduce((sum, each) => sum + each.length, 0)
    this.#next = end
    this.#samples += count
    this.#lossSum += loss * count
    this.#busyMs += Math.max(1, clock.now() - startedMs)
    this.#add(update)
  }

  /** Goes on from `origin` (borrowed) instead, with `share` of what was gained. */
  rebase(origin: Float32Array, share: number): void {
    this.#origin = origin
    const gain = this.#gain
    if (gain !== undefined && share !== 1) for (let i = 0; i < gain.length; i++) gain[i]! *= share
  }

  #pieceSteps(): number {
    const { isGradient, rate } = this.#init
    if (isGradient) return 1
    const samplesPerStep = this.#positions[this.#next]!.length
    return Math.max(1, Math.floor((pieceSeconds * (this.rate || rate)) / samplesPerStep))
  }

  #start(): Float32Array {
    const gain = this.#gain
    if (gain === undefined) return this.#origin
    const start = this.#origin.slice()
    for (let i = 0; i < gain.length; i++) start[i]! -= gain[i]!
    return start
  }

  #add(update: Float32Array): void {
    const gain = this.#gain
    if (gain === undefined) this.#gain = update
    else for (let i = 0; i < gain.length; i++) gain[i]! += update[i]!
  }
}
