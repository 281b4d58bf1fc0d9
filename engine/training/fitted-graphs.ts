/**
 * The graphs of one trainer, fitted to its batches and to the memory there is.
 *
 * A batch is taken in micro-batches; the smaller one that may be left at its end has graphs of its own size. When memory
 * runs out, a lighter program (lighter.ts) takes the place of the present one and the batch is begun again: a run that
 * fails for want of memory has changed nothing of what the trainer keeps, which model-state.ts owns.
 */
import { hasCode, SwarmError } from '../../protocols/core/errors.ts'
import type { Batch } from '../../protocols/core/tensor.ts'
import type { Backend, Executable } from '../backends/backend.ts'
import type { SplitStep, TrainingProgram } from '../program/training-program.ts'
import { requireTypes } from './batch-types.ts'
import { Executables, type GraphKind } from './executables.ts'
import { lighterProgram, type Recompile } from './lighter.ts'
import { type MicroBatch, microBatches } from './micro-batches.ts'
import type { ModelState } from './model-state.ts'

export interface FittingOptions {
  /** Without it every batch must be a multiple of the program's, and running out of memory is final. */
  recompile?: Recompile
  /** Fewest samples of one run of a graph; default: 1. */
  microBatchMin?: number
  /** Called when a lighter program took over, with the error that asked for it. */
  onLighten?: (program: TrainingProgram, error: SwarmError) => void
}

export class FittedGraphs {
  readonly #backend: Backend
  readonly #state: ModelState
  readonly #options: FittingOptions
  /** For micro-batches of the full size. */
  #whole: Executables
  /** For the smaller last micro-batch of a batch; of the size that was needed last. */
  #tail: Executables | undefined

  /** Graphs of `program`, which read and write `state`; the caller's, as it is after its last restart. */
  constructor(program: TrainingProgram, backend: Backend, state: ModelState, options: FittingOptions) {
    this.#backend = backend
    this.#state = state
    this.#options = options
    this.#whole = this.#executablesOf(program)
  }

  /** The program of the present micro-batch. */
  get program(): TrainingProgram {
    return this.#whole.program
  }

  /** The present program's step in two graphs. */
  get split(): SplitStep {
    return this.#whole.split
  }

  /**
   * Calls `task` with the pieces of `batch`; while memory runs out, goes on with a lighter program and calls it again.
   * `isBackward`: the graphs that it runs have a backward pass.
   * @throws {SwarmError} DATA_INVALID for a batch that does not fit the model; what `task` throws.
   */
  async inMemory<Result>(
    batch: Batch,
    isBackward: boolean,
    task: (pieces: readonly MicroBatch[]) => Promise<Result>,
  ): Promise<Result> {
    requireTypes(batch, this.program)
    for (;;) {
      try {
        const pieces = microBatches(batch, this.program.batch, this.program.labelWeights)
        await this.#state.bring()
        return await task(pieces)
      } catch (error) {
        if (!hasCode(error, 'OUT_OF_MEMORY') || !(await this.#lighten(error, isBackward))) throw error
      }
    }
  }

  /**
   * The graph of `kind` for `size` samples.
   * @throws {SwarmError} DATA_INVALID for fewer samples than a run may take; as the backend's `compile`.
   */
  async get(kind: Exclude<GraphKind, 'apply'>, size: number): Promise<Executable> {
    const { batch, recomputation } = this.program
    if (size === batch) return this.#whole.get(kind)
    if (this.#tail?.program.batch !== size) {
      const { recompile, microBatchMin = 1 } = this.#options
      if (recompile === undefined || size < microBatchMin) throw leftOver(size, batch)
      await this.#tail?.release()
      this.#tail = this.#executablesOf(await recompile(size, recomputation))
    }
    return this.#tail!.get(kind)
  }

  /** The graph that steps by the sums of all pieces. */
  apply(): Promise<Executable> {
    return this.#whole.get('apply')
  }

  /** Begins anew, after {@link release}, with what `state` carries since its restart. */
  renew(): void {
    this.#whole = this.#executablesOf(this.program)
  }

  /** Gives the executables back; they are compiled again when they are asked for. */
  async release(): Promise<void> {
    await this.#whole.release()
    await this.#tail?.release()
    this.#tail = undefined
  }

  /** Takes a lighter program, if there is one. */
  async #lighten(error: SwarmError, isBackward: boolean): Promise<boolean> {
    const { recompile, microBatchMin = 1, onLighten } = this.#options
    if (recompile === undefined) return false
    await this.release()
    const lighter = await lighterProgram(this.program, recompile, { isBackward, microBatchMin })
    if (lighter === null) return false
    this.#whole = this.#executablesOf(lighter)
    onLighten?.(lighter, error)
    return true
  }

  #executablesOf(program: TrainingProgram): Executables {
    return new Executables(program, this.#backend, this.#state.carried)
  }
}

function leftOver(size: number, microBatch: number): SwarmError {
  return new SwarmError(
    'DATA_INVALID',
    `a batch leaves ${size} samples over; the model was compiled for ${microBatch} at a time`,
    { hint: `Use batches of a multiple of ${microBatch} samples.` },
  )
}
