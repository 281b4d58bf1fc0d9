/**
 * What a peer trains for its rounds:
 *
 *     lease ──begin──▶ pieces ──▶ done ──▶ what those that died leave to it ──▶ done
 *                         └──▶ less, when the round closes before
 *
 * In jobs that overlap, the work of the next round begins while the parts of this one travel, from where this peer's
 * own update leads, and goes on from the state that the round came to. It owns that work and this peer's pace; leases
 * are the state's, and what becomes of a gain is the caller's business.
 */

import type { Clock } from '../core/clock.ts'
import { leaseUnit } from './advance.ts'
import { type Lease, type Leases, leaseFor, overflowFor } from './leases.ts'
import { LocalWork } from './local-work.ts'
import { PaceMeter } from './pace-meter.ts'
import type { RunPlan } from './plan.ts'
import type { Averaging, RunGossip, Samples, Trainer } from './ports.ts'
import type { State } from './state.ts'

export interface TrainingInit {
  self: string
  plan: RunPlan
  trainer: Trainer
  samples: Samples
  /** Asked who is here, and who has given. */
  averaging: Pick<Averaging, 'outlook'>
  gossip: Pick<RunGossip, 'standings'>
  clock: Clock
}

export class Training {
  readonly pace = new PaceMeter()
  readonly #init: TrainingInit
  /** Begun while the parts of the round before travelled. */
  #begun: LocalWork | undefined

  constructor(init: TrainingInit) {
    this.#init = init
  }

  /**
   * The steps of the round that `state` starts: what the lease names, what others who died leave to this peer, or less
   * when the round closes before. Undefined when this peer has no lease.
   * @throws {SwarmError} LOSS_NOT_FINITE; the work is then of no use.
   */
  async train(state: State, { signal }: { signal: AbortSignal }): Promise<LocalWork | undefined> {
    const leases = this.#leases(state)
    const index = leases.holders.indexOf(this.#init.self)
    const work = this.#begun ?? (index < 0 ? undefined : this.#begin(state.parameters, leases, index))
    this.#begun = undefined
    if (work === undefined) return undefined
    let hasTakenOver = false
    while (true) {
      if (work.stepsLeft === 0) {
        if (hasTakenOver) break
        hasTakenOver = true
        work.extend(this.#overflow(state, leases, index))
      } else if (work.stepsDone > 0 && this.#isClosing(leases)) break
      else await work.trainPiece({ signal })
    }
    this.pace.trained(work.rate)
    return work
  }

  /**
   * The work of the round after `state`'s, from where this round's `update` leads; undefined when the job does not
   * overlap.
   */
  beginAhead({ ahead, parameters }: State, update: Float32Array): LocalWork | undefined {
    const index = ahead?.holders.indexOf(this.#init.self) ?? -1
    if (ahead === null || index < 0) return undefined
    const origin = parameters.slice()
    for (let i = 0; i < origin.length; i++) origin[i]! -= update[i]!
    return this.#begin(origin, ahead, index)
  }

  /**
   * Trains `work` until `ended` has settled, or nothing is left of it.
   * @throws {SwarmError} LOSS_NOT_FINITE; the work is then of no use.
   */
  async trainAhead(
    work: LocalWork,
    ended: Promise<unknown>,
    { signal }: { signal: AbortSignal },
  ): Promise<LocalWork> {
    let isOver = false
    const stop = () => {
      isOver = true
    }
    ended.then(stop, stop)
    while (!isOver && work.stepsLeft > 0) await work.trainPiece({ signal })
    return work
  }

  /** What the next call of `train` goes on with; undefined: with nothing, from the state. */
  goOnWith(work: LocalWork | undefined): void {
    this.#begun = work
  }

  /**
   * What was trained while the round's parts travelled goes on from the new state: θ ← φ + α·(θ − θ at commit). It
   * began at parameters that are old by now; if that was for more than half a round, half of it is kept (Streaming
   * DiLoCo's α, Douillard et al. 2025).
   */
  rebase({ parameters }: State): void {
    const work = this.#begun
    if (work === undefined) return
    const isLate = 2 * work.stepsDone > work.stepsDone + work.stepsLeft
    work.rebase(parameters, isLate ? 0.5 : 1)
  }

  #begin(origin: Float32Array, leases: Leases, index: number): LocalWork {
    const { plan, trainer, samples, clock } = this.#init
    const unit = leaseUnit(plan)
    return new LocalWork({
      trainer,
      samples,
      clock,
      isGradient: unit.isGradient,
      learningRate: (step) => plan.localLearningRate(step),
      origin,
      lease: leaseFor(leases, index, unit),
      rate: this.pace.value?.samplesPerSecond ?? 0,
    })
  }

  /** Before the first round nobody has agreed on anything yet: then the peers that are here share the samples. */
  #leases({ round, leases }: State): Leases {
    if (round > 0) return leases
    const holders = [this.#init.self, ...this.#init.gossip.standings().keys()].sort()
    return { ...leases, holders, rates: holders.map(() => 0) }
  }

  /**
   * What this peer does for those that died. Nothing in overlapped jobs, where it has the next round's steps to do
   * instead.
   */
  #overflow({ round }: State, leases: Leases, index: number): Lease {
    const { plan, averaging } = this.#init
    const live = new Set(averaging.outlook.live)
    const isEveryoneKnown = round > 0 && !plan.isOverlapped && index >= 0
    const dead = leases.holders.flatMap((peer, place) => (live.has(peer) ? [] : [place]))
    if (!isEveryoneKnown || dead.length === 0) return { positions: [], schedule: [] }
    return overflowFor(leases, index, new Set(dead), leaseUnit(plan))
  }

  /**
   * Two thirds have given their updates: the plan will not wait much longer, and less than the lease is better than
   * nothing.
   */
  #isClosing({ holders }: Leases): boolean {
    const { committed } = this.#init.averaging.outlook
    return 3 * holders.filter((peer) => committed.includes(peer)).length >= 2 * holders.length
  }
}
