/**
 * What a peer's part in a run needs from outside: training, samples, the outer optimizer, and the other protocols. The
 * program that composes a peer (a node, a tab) brings them; nothing here knows onnxruntime, files or the DOM.
 */

import type { Offer, RoundBase, RoundCommitted, RoundOutcome } from '../allreduce/index.ts'
import type { Batch } from '../core/tensor.ts'
import type { EncodedState, ExpectedState, State } from './state.ts'

/** One round's local work. */
export interface TrainingTask {
  /** `gradient`: one batch, the update is its gradient. `steps`: the update is start minus end parameters. */
  mode: 'gradient' | 'steps'
  /** f32[parameterCount]: the agreed parameters that the round starts from. Borrowed until the call returns. */
  start: Float32Array
  /** One batch for each local step. */
  batches: Batch[]
  /** One learning rate for each local step; unused in mode `gradient`. */
  learningRates: number[]
}

export interface Training {
  /** f32[parameterCount]; the caller owns it. */
  update: Float32Array
  /** Mean loss of the local steps. */
  loss: number
  /** Time in the kernels, seconds. */
  seconds: number
}

/** Local training, in a worker of its own so that the network never waits for a kernel. */
export interface Trainer {
  /** @throws {SwarmError} LOSS_NOT_FINITE when a step gives NaN or infinity; nothing is then contributed. */
  train(task: TrainingTask, options: { signal: AbortSignal }): Promise<Training>
}

/** The samples of the job's training split, by position in the run's endless seeded sequence. */
export interface Samples {
  batch(positions: readonly number[]): Batch
}

/** The step from one agreed state to the next: bit-identical on every peer and platform. */
export interface OuterOptimizer {
  /** Numbers of optimizer state for `parameterCount` parameters. */
  stateLength(parameterCount: number): number
  /** Changes `parameters` and `state` in place. `stepNumber` counts rounds from 1. */
  step(
    parameters: Float32Array,
    state: Float32Array,
    average: Float32Array,
    options: { learningRate: number; stepNumber: number },
  ): void
}

/** The allreduce of one run. */
export interface Averaging {
  /** Tells the others that this peer holds the round's state, before it has an update to give. */
  hold(round: RoundBase): void
  /**
   * Gives an update, and waits for the round's outcome.
   * @throws {SwarmError} PART_INVALID when it has a value that is not finite or too large; nothing was then given.
   */
  average(offer: Offer, options: { signal: AbortSignal }): Promise<RoundOutcome>
  /** Aborts, with the error, when this peer's part in the run is over for a fault of its own machine. */
  readonly failed: AbortSignal
  /** Who is here now, and who of them has given an update to the round of this peer's state. */
  readonly outlook: { live: readonly string[]; committed: readonly string[] }
  /** Where linked peers said last that they stand: known sooner than by gossip. */
  readonly standings: ReadonlyMap<string, Pick<Standing, 'round' | 'root'>>
  /** Takes the round's outcome without giving anything: a newcomer's first round. */
  receive(round: RoundBase, options: { signal: AbortSignal }): Promise<RoundOutcome>
  /** Reports the outcome of every round while this peer has no state yet. The returned function ends it. */
  follow(onCommitted: (outcome: RoundCommitted) => void): () => void
}

/** Where a peer says it is. */
export interface Standing {
  round: number
  root: string
  /** Samples behind all committed updates of its state. */
  weight: number
}

/** What this peer tells the swarm about itself, besides where it stands. */
export interface Report extends Standing {
  phase: RunPhase
  /** Mean loss of the last round's local steps; `null` before the first and when it was not finite. */
  loss: number | null
  /** The last local step gave NaN or infinity. */
  isLossNotFinite: boolean
  samplesTrained: number
  samplesPerSecond: number
}

export type RunPhase = 'waiting' | 'syncing' | 'training' | 'averaging' | 'finished'

/** The run's gossip. */
export interface RunGossip {
  /** Tells the others; the newest report wins, older ones may be dropped. */
  report(report: Report): void
  /** Where the other peers of the run stand, by peer id; the coordinator is not among them. */
  standings(): ReadonlyMap<string, Standing>
  /** Resolves at the next change of `standings()`. */
  changed(options: { signal: AbortSignal }): Promise<void>
}

/** What outlives this peer's process. */
export interface StateStore {
  /** The newest state of a former life; undefined when there is none of `expected` that can be read. */
  state(expected: ExpectedState): Promise<State | undefined>
  /** Keeps `state` in the place of older ones, in its own time. */
  keep(state: EncodedState): void
}

/** Blocks from peers, verified against their CIDs. */
export interface BlockFetch {
  /**
   * Fetches blocks, asking `peers` first.
   * @throws {SwarmError} BLOCK_NOT_FOUND when nobody has one of them.
   */
  fetchBlocks(
    cids: readonly string[],
    options: { peers: readonly string[]; signal: AbortSignal },
  ): Promise<Uint8Array[]>
}
