/**
 * A training peer's part in one run, from the first parameters to the verdict:
 *
 *     waiting ──▶ training ──▶ averaging ──▶ training ──▶ …          (all hold the same state)
 *        │            ▲            │
 *        └──────▶ syncing ◀────────┘ behind: the others went on without this peer
 *
 * It joins the other protocols: leases say which samples, the trainer computes the update, allreduce agrees on the
 * average, the outer optimizer makes the next state, the archive serves it. It knows no message and no socket.
 *
 * While syncing, a peer follows the rounds that the others commit and applies their averages to the state that it
 * fetched meanwhile; so it catches up however short the rounds are. Its first round it takes part without an update:
 * that makes it a member, and members hold the leases.
 */

import { assert } from '../core/assert.ts'
import { type Clock, sleep } from '../core/clock.ts'
import { SwarmError } from '../core/errors.ts'
import type { StateArchive } from './archive.ts'
import { catchUp } from './catch-up.ts'
import { leaseFor, nextCursor } from './lease.ts'
import type {
  Averaging,
  BlockFetch,
  OuterOptimizer,
  RoundBase,
  RoundOutcome,
  RunGossip,
  RunPhase,
  Samples,
  Trainer,
  Training,
} from './ports.ts'
import { Residual } from './residual.ts'
import { encodeState, type State } from './state.ts'

/** The numbers of the job that a peer follows. */
export interface RunPlan {
  /** CID of the manifest, as text. */
  job: string
  /** Samples of one local step, >= 1. */
  batch: number
  /** Local steps of one round, >= 1. */
  localSteps: number
  /** Peers that must be there before the first round. */
  peersMin: number
  /** Rounds after which a peer stops training, whatever anybody says. */
  roundsMax: number
  /** The codec leaves most of an update out, so the peer keeps the rest for its next one. */
  isSparse: boolean
  /** Learning rate of local step `step`, counted from 0 over the whole run. */
  localLearningRate(step: number): number
  /** Learning rate of the outer step that ends round `round`. */
  outerLearningRate(round: number): number
}

export interface RunInit {
  self: string
  plan: RunPlan
  /** f32[parameterCount]: the model file's own values, which round 0 starts from. Borrowed. */
  initial: Float32Array
  trainer: Trainer
  samples: Samples
  outerOptimizer: OuterOptimizer
  averaging: Averaging
  gossip: RunGossip
  blocks: BlockFetch
  archive: StateArchive
  clock: Clock
  onEvent?: (event: RunPeerEvent) => void
}

/** One line of the peer's log. */
export type RunPeerEvent =
  | { kind: 'phase'; phase: RunPhase; round: number }
  | {
      kind: 'committed'
      round: number
      root: string
      loss: number | null
      totalWeight: number
      contributors: readonly { peer: string; weight: number }[]
      electorate: readonly string[]
    }
  | { kind: 'synced'; round: number; root: string }
  | { kind: 'loss-not-finite'; round: number; error: SwarmError }

/** How long an error of training pauses a peer before it reports again: bounds the chatter of a diverged run. */
const notFinitePauseMs = 1_000

export class RunPeer {
  readonly #init: RunInit
  readonly #residual: Residual | undefined
  #state: State
  #root = ''
  #phase: RunPhase = 'waiting'
  #loss: number | null = null
  #isLossNotFinite = false
  #samplesTrained = 0
  #samplesPerSecond = 0

  constructor(init: RunInit) {
    this.#init = init
    const { plan, initial, outerOptimizer } = init
    this.#residual = plan.isSparse ? new Residual(initial.length) : undefined
    this.#state = {
      job: plan.job,
      round: 0,
      cursor: 0,
      weight: 0,
      electorate: [],
      parameters: initial.slice(),
      outer: new Float32Array(outerOptimizer.stateLength(initial.length)),
    }
  }

  /** The state that this peer holds now: borrowed, changes with the next round. */
  get state(): State {
    return this.#state
  }

  /** Rounds after which this peer stops training. */
  get roundsMax(): number {
    return this.#init.plan.roundsMax
  }

  /** Root of {@link state}. */
  get root(): string {
    return this.#root
  }

  /**
   * Takes part until `signal` aborts or the job's rounds are used up; then keeps serving its states until `signal` aborts.
   * @throws {unknown} `signal.reason`.
   */
  async run({ signal }: { signal: AbortSignal }): Promise<never> {
    await this.#hold(this.#state)
    if (await this.#isRunAhead(signal)) await this.#sync(signal)
    while (this.#state.round < this.#init.plan.roundsMax) {
      const outcome = await this.#takeRound(signal)
      // A round that started from another state is over for its branch, not for this peer: it has to change over.
      if (outcome.kind === 'behind' || outcome.root !== this.#root) await this.#sync(signal)
      else await this.#apply(outcome)
    }
    this.#enter('finished')
    return await new Promise<never>((_, reject) => {
      if (signal.aborted) reject(signal.reason)
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  }

  /** Waits for enough peers. True when somebody already holds a later state. */
  async #isRunAhead(signal: AbortSignal): Promise<boolean> {
    const { gossip, plan } = this.#init
    this.#enter('waiting')
    while (true) {
      const standings = [...gossip.standings().values()]
      if (standings.some(({ round }) => round > 0)) return true
      if (standings.length + 1 >= plan.peersMin) return false
      await gossip.changed({ signal })
    }
  }

  async #sync(signal: AbortSignal): Promise<void> {
    this.#enter('syncing')
    const { averaging, gossip, blocks, plan, clock } = this.#init
    const state = await catchUp({
      averaging,
      gossip,
      blocks,
      clock,
      expected: { job: plan.job, parameters: this.#state.parameters.length, outer: this.#state.outer.length },
      advance: (from, outcome) => this.#advance(from, outcome),
      settle: async (state) => {
        await this.#hold(state)
        return this.#root
      },
      signal,
    })
    this.#residual?.reset()
    this.#init.onEvent?.({ kind: 'synced', round: state.round, root: this.#root })
  }

  async #takeRound(signal: AbortSignal): Promise<RoundOutcome> {
    const { averaging } = this.#init
    const { round, electorate } = this.#state
    const base: RoundBase = { round, root: this.#root, electorate }
    averaging.hold(base)
    this.#enter('training')
    const training = this.#isLeaseholder() ? await this.#train(signal) : undefined
    this.#enter('averaging')
    if (training === undefined) return averaging.receive(base, { signal })
    const { batch, localSteps } = this.#init.plan
    const { update } = training
    this.#residual?.addTo(update)
    const offer = { ...base, update, weight: batch * localSteps, residual: this.#residual?.values }
    try {
      const outcome = await averaging.average(offer, { signal })
      if (outcome.kind === 'committed') this.#residual?.settle(update, outcome.average, outcome.omitted)
      return outcome
    } catch (error) {
      if (!(error instanceof SwarmError) || error.code !== 'PART_INVALID') throw error
      // Too large to be averaged, and nobody has seen it: this peer diverged within the round, though its losses are numbers.
      await this.#sayDiverged(error, signal)
      return averaging.receive(base, { signal })
    }
  }

  /** In round 0 everybody is; later those that hold the state by agreement, so that no sample is leased twice. */
  #isLeaseholder(): boolean {
    const { electorate } = this.#state
    return electorate.length === 0 || electorate.includes(this.#init.self)
  }

  async #train(signal: AbortSignal): Promise<Training | undefined> {
    const { plan, trainer, samples, clock } = this.#init
    const { parameters, round } = this.#state
    const leaseholders = this.#leaseholders()
    const lease = leaseFor({
      cursor: this.#state.cursor,
      width: leaseholders.length,
      index: leaseholders.indexOf(this.#init.self),
      batch: plan.batch,
      steps: plan.localSteps,
    })
    const startedMs = clock.now()
    try {
      const training = await trainer.train(
        {
          mode: plan.localSteps === 1 ? 'gradient' : 'steps',
          start: parameters,
          batches: lease.positions.map((positions) => samples.batch(positions)),
          learningRates: lease.positions.map((_, step) =>
            plan.localLearningRate(round * plan.localSteps + step),
          ),
        },
        { signal },
      )
      this.#loss = training.loss
      this.#isLossNotFinite = false
      this.#samplesTrained += plan.batch * plan.localSteps
      this.#samplesPerSecond = (plan.batch * plan.localSteps * 1000) / Math.max(1, clock.now() - startedMs)
      return training
    } catch (error) {
      if (!(error instanceof SwarmError) || error.code !== 'LOSS_NOT_FINITE') throw error
      await this.#sayDiverged(error, signal)
      return undefined
    }
  }

  async #sayDiverged(error: SwarmError, signal: AbortSignal): Promise<void> {
    this.#isLossNotFinite = true
    this.#loss = null
    this.#init.onEvent?.({ kind: 'loss-not-finite', round: this.#state.round, error })
    this.#report()
    await sleep(this.#init.clock, notFinitePauseMs, { signal })
  }

  /** Before the first round nobody has agreed on anything yet: then the peers that are here share the samples. */
  #leaseholders(): readonly string[] {
    const { electorate } = this.#state
    if (electorate.length > 0) return electorate
    return [this.#init.self, ...this.#init.gossip.standings().keys()].sort()
  }

  async #apply(outcome: Extract<RoundOutcome, { kind: 'committed' }>): Promise<void> {
    assert(outcome.round === this.#state.round, 'allreduce answers the round that was asked')
    await this.#hold(this.#advance(this.#state, outcome))
    const { totalWeight, contributors, electorate, round } = outcome
    this.#init.onEvent?.({
      kind: 'committed',
      round,
      root: this.#root,
      loss: this.#loss,
      totalWeight,
      contributors: contributors.map(({ peer, weight }) => ({ peer, weight })),
      electorate,
    })
  }

  /** State `r + 1` from state `r` and what round `r` came to; a pure function, the same on every peer. */
  #advance(from: State, outcome: Extract<RoundOutcome, { kind: 'committed' }>): State {
    const { plan, outerOptimizer } = this.#init
    const parameters = from.parameters.slice()
    const outer = from.outer.slice()
    outerOptimizer.step(parameters, outer, outcome.average, {
      learningRate: plan.outerLearningRate(from.round),
      stepNumber: from.round + 1,
    })
    const width = from.electorate.length > 0 ? from.electorate.length : outcome.electorate.length
    return {
      job: from.job,
      round: from.round + 1,
      cursor: nextCursor({ cursor: from.cursor, width, batch: plan.batch, steps: plan.localSteps }),
      weight: from.weight + outcome.totalWeight,
      electorate: outcome.electorate,
      parameters,
      outer,
    }
  }

  async #hold(state: State): Promise<void> {
    const encoded = await encodeState(state)
    this.#state = state
    this.#root = encoded.root.toString()
    this.#init.archive.add(state.round, encoded)
    this.#report()
  }

  #enter(phase: RunPhase): void {
    if (phase === this.#phase) return
    this.#phase = phase
    this.#init.onEvent?.({ kind: 'phase', phase, round: this.#state.round })
    this.#report()
  }

  #report(): void {
    this.#init.gossip.report({
      round: this.#state.round,
      root: this.#root,
      weight: this.#state.weight,
      phase: this.#phase,
      loss: this.#loss,
      isLossNotFinite: this.#isLossNotFinite,
      samplesTrained: this.#samplesTrained,
      samplesPerSecond: this.#samplesPerSecond,
    })
  }
}
