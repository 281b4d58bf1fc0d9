/**
 * A training peer's part in one run, from the first parameters to the verdict:
 *
 *     waiting ──▶ training ──▶ averaging ──▶ training ──▶ …          (all hold the same state)
 *        │            ▲            │ (overlapped: the next round's training begins here)
 *        └──────▶ syncing ◀────────┘ behind: the others went on without this peer
 *
 * A peer that was ended and comes back begins with the newest state on its disk, if it has one, and syncs only if the
 * others are further.
 *
 * It joins the other protocols: leases say which samples, the trainer computes the update, allreduce agrees on the
 * average, the outer optimizer makes the next state, the archive serves it. It knows no message and no socket.
 *
 * While syncing, a peer follows the rounds that the others commit and applies their averages to the state that it
 * fetched meanwhile; so it catches up however short the rounds are. Its first round it takes part without an update:
 * that makes it a member, and members hold the leases. What it has trained or kept for later is then forgotten, since
 * it belongs to another state.
 */

import type { Offer, RoundBase, RoundOutcome } from '../allreduce/index.ts'
import { assert } from '../core/assert.ts'
import { type Clock, sleep } from '../core/clock.ts'
import { SwarmError } from '../core/errors.ts'
import { advance, firstState } from './advance.ts'
import type { StateArchive } from './archive.ts'
import { isOvertaken, isRunAhead } from './beginning.ts'
import { catchUp } from './catch-up.ts'
import { CodecChoice } from './codec-choice.ts'
import type { LocalWork } from './local-work.ts'
import type { RunPlan } from './plan.ts'
import type {
  Averaging,
  BlockFetch,
  OuterOptimizer,
  RunGossip,
  RunPhase,
  Samples,
  StateStore,
  Trainer,
} from './ports.ts'
import { Residual } from './residual.ts'
import { type ExpectedState, encodeState, type State } from './state.ts'
import { Training } from './training.ts'

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
  /** Absent: a next life fetches the state from the others. */
  store?: StateStore | undefined
  clock: Clock
  /** Asked before each update: whether this peer's bytes are scarce now. Default: they are not. */
  savesData?: () => boolean
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
  readonly #training: Training
  readonly #codecs: CodecChoice

  constructor(init: RunInit) {
    this.#init = init
    const { plan, initial, outerOptimizer } = init
    this.#training = new Training(init)
    this.#codecs = new CodecChoice(plan)
    this.#residual = plan.isSparse ? new Residual(initial.length) : undefined
    this.#state = firstState(plan, initial, outerOptimizer)
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
   * Takes part until `signal` aborts or the job's rounds are used up; then keeps serving its states until `signal`
   * aborts.
   * @throws {unknown} `signal.reason`.
   * @throws {SwarmError} STORAGE_FAILED, whatever it is doing, when the averaging cannot write what binds this peer:
   * the others wait for it.
   */
  async run({ signal: asked }: { signal: AbortSignal }): Promise<never> {
    const { store, averaging } = this.#init
    const signal = AbortSignal.any([asked, averaging.failed])
    const kept = await store?.state(this.#expected)
    await this.#hold(kept ?? this.#state)
    if (await this.#isBehind(signal)) await this.#sync(signal)
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

  /** Waits until the others have said enough to tell whether they hold a later state than this peer begins with. */
  #isBehind(signal: AbortSignal): Promise<boolean> {
    const { averaging, gossip, plan, clock, self } = this.#init
    const { round, electorate } = this.#state
    this.#enter('waiting')
    if (round === 0) return isRunAhead({ gossip, peersMin: plan.peersMin }, { signal })
    // with a state of a former life it takes its place at once, for the others may need its vote
    averaging.hold({ round, root: this.#root, electorate })
    const isAlone = electorate.every((peer) => peer === self)
    return isOvertaken({ gossip, clock, round, isAlone }, { signal })
  }

  get #expected(): ExpectedState {
    const { parameters, outer } = this.#state
    return { job: this.#init.plan.job, parameters: parameters.length, outer: outer.length }
  }

  async #sync(signal: AbortSignal): Promise<void> {
    this.#enter('syncing')
    const { averaging, gossip, blocks, plan, clock, outerOptimizer } = this.#init
    this.#training.goOnWith(undefined)
    this.#residual?.reset()
    const state = await catchUp({
      averaging,
      gossip,
      blocks,
      clock,
      expected: this.#expected,
      advance: (from, outcome) => advance(from, outcome, plan, outerOptimizer),
      settle: async (state) => {
        await this.#hold(state)
        return this.#root
      },
      signal,
    })
    this.#init.onEvent?.({ kind: 'synced', round: state.round, root: this.#root })
  }

  async #takeRound(signal: AbortSignal): Promise<RoundOutcome> {
    const { averaging } = this.#init
    const { round, electorate } = this.#state
    const base: RoundBase = { round, root: this.#root, electorate }
    averaging.hold(base)
    this.#enter('training')
    const work = await this.#train(signal)
    this.#enter('averaging')
    if (work?.gain === undefined) return averaging.receive(base, { signal })
    try {
      return await this.#average(base, work, work.gain, signal)
    } catch (error) {
      if (!(error instanceof SwarmError) || error.code !== 'PART_INVALID') throw error
      // Too large to be averaged, and nobody has seen it: this peer diverged within the round, though its losses are
      // numbers.
      await this.#sayDiverged(error, signal)
      return averaging.receive(base, { signal })
    }
  }

  /** This round's steps; undefined when there is nothing of them to give. */
  async #train(signal: AbortSignal): Promise<LocalWork | undefined> {
    const work = await this.#finite(this.#training.train(this.#state, { signal }), signal)
    if (work === undefined) return undefined
    this.#loss = work.loss
    this.#isLossNotFinite = false
    this.#samplesTrained += work.samples
    return work
  }

  /** Gives `update`, what `work` gained, to the round; its outcome. */
  async #average(
    base: RoundBase,
    work: LocalWork,
    update: Float32Array,
    signal: AbortSignal,
  ): Promise<RoundOutcome> {
    const { averaging, clock } = this.#init
    const next = this.#training.beginAhead(this.#state, update)
    this.#residual?.addTo(update)
    const savesData = this.#init.savesData?.() ?? false
    const offer: Offer = {
      ...base,
      update,
      weight: work.samples,
      pace: this.#training.pace.value,
      codec: this.#codecs.of(work, this.#training.pace.value?.averagingMs ?? 0, savesData),
      reducesNothing: savesData,
      residual: this.#residual?.values,
      // what was given is looked at again where some of it is kept back
      averageInto: this.#residual === undefined ? update : undefined,
    }
    const startedMs = clock.now()
    const average = averaging.average(offer, { signal })
    const ended = average.then((outcome) => {
      this.#training.pace.averaged(clock.now() - startedMs)
      return outcome
    })
    const ahead = next && (await this.#finite(this.#training.trainAhead(next, ended, { signal }), signal))
    const outcome = await ended
    if (outcome.kind === 'committed') {
      this.#residual?.settle(update, outcome.average, outcome.omitted)
      this.#training.goOnWith(ahead)
    }
    return outcome
  }

  /** What training comes to; undefined when its loss is no number any more, which is said. */
  async #finite<T>(training: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
    try {
      return await training
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

  async #apply(outcome: Extract<RoundOutcome, { kind: 'committed' }>): Promise<void> {
    assert(outcome.round === this.#state.round, 'allreduce answers the round that was asked')
    const { plan, outerOptimizer } = this.#init
    await this.#hold(advance(this.#state, outcome, plan, outerOptimizer))
    this.#training.rebase(this.#state)
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

  async #hold(state: State): Promise<void> {
    const encoded = await encodeState(state)
    this.#state = state
    this.#root = encoded.root.toString()
    this.#init.archive.add(state.round, encoded)
    if (state.round > 0) this.#init.store?.keep(encoded)
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
      samplesPerSecond: this.#training.pace.value?.samplesPerSecond ?? 0,
    })
  }
}
