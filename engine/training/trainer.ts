/**
 * Trains one model on one backend: batch in, loss and update out.
 *
 * Two ways, after the job's local steps. `gradient` computes one batch's gradient at the loaded parameters and changes
 * nothing: peers average it and step together. `steps` runs the optimizer in a graph, with parameters and its slots
 * staying where the backend computes; only the loss comes out of each step.
 *
 * With a program in float16 the loss is scaled on its way back (precision/loss-scale.ts). A run whose gradients
 * overflow changes nothing; it is done again with half the scale, on the same samples: none of a lease is left out, and
 * none counts twice.
 *
 * A batch may have any number of samples. One that is larger than the graphs is cut into micro-batches, whose gradients
 * are added up; when memory runs out, a lighter program takes over (fitted-graphs.ts) and the same batch is tried again.
 *
 * Not owned here: batches, learning rates, rounds, threads. Calls must not overlap; the compute server (engine/compute)
 * sees to that.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import type { Batch, Tensor } from '../../protocols/core/tensor.ts'
import type { Backend, Executable, RunOptions } from '../backends/backend.ts'
import { LossScale } from '../precision/loss-scale.ts'
import type { TrainingProgram } from '../program/training-program.ts'
import { requireTypes } from './batch-types.ts'
import { FittedGraphs, type FittingOptions } from './fitted-graphs.ts'
import type { MicroBatch } from './micro-batches.ts'
import { ModelState } from './model-state.ts'

export interface Gradient {
  /** Mean over the batch. */
  loss: number
  /** f32[parameterCount], the caller's. */
  gradient: Float32Array
}

export interface Evaluation {
  /** Sum of the loss over predictions. */
  lossSum: number
  /** Right predictions; 0 where there are no classes. */
  correct: number
  /** Labels in the batch that count. */
  predictions: number
}

export interface StepOptions {
  signal?: AbortSignal
  /**
   * Called after each step with its index in this call, from 0. What it returns is awaited: the place to yield or
   * pause.
   */
  onStep?: (index: number, loss: number) => void | Promise<void>
}

export class Trainer {
  readonly #state: ModelState
  readonly #graphs: FittedGraphs
  /** Steps since the optimizer was reset; Adam's bias correction counts them. */
  #stepCount = 0
  readonly #lossScale = new LossScale()

  /** A trainer at the model file's own parameters. `program` is kept and only read; its batch is the micro-batch. */
  constructor(program: TrainingProgram, backend: Backend, options: FittingOptions = {}) {
    this.#state = new ModelState(backend, program.parameters, program.initial)
    this.#graphs = new FittedGraphs(program, backend, this.#state, options)
  }

  /** The program of the present micro-batch. */
  get program(): TrainingProgram {
    return this.#graphs.program
  }

  /** The most samples that one run of a graph takes, >= 1. */
  get microBatch(): number {
    return this.program.batch
  }

  /** Sets the parameters to a copy of `flat`, f32[parameterCount]. The optimizer's slots stay as they are. */
  load(flat: Float32Array): void {
    this.#state.load(flat)
  }

  /**
   * Copies the parameters to `into`, f32[parameterCount].
   * @throws {SwarmError} DEVICE_LOST; BACKEND_FAILED.
   */
  read(into: Float32Array): Promise<void> {
    return this.#state.read(into)
  }

  /**
   * Loss and gradient of one batch at the current parameters, which stay. `into`: the array for the gradient, if the
   * caller has one.
   * @throws {SwarmError} DATA_INVALID for a batch that does not fit the model; LOSS_NOT_FINITE; as the backend's `run`.
   */
  gradient(batch: Batch, options: { into?: Float32Array; signal?: AbortSignal } = {}): Promise<Gradient> {
    const gradient = options.into ?? new Float32Array(this.program.parameterCount)
    return this.#graphs.inMemory(batch, true, async (pieces) => {
      const [first] = pieces
      if (pieces.length > 1) {
        const loss = await this.#accumulate(pieces, options)
        await this.#state.readEach(this.#graphs.split.sumNames, gradient)
        return { loss: finiteLoss(loss, 0), gradient }
      }
      const executable = await this.#graphs.get('gradient', first!.size)
      const outputs = await this.#runBack(executable, this.#feeds(first!), {
        into: { gradient },
        signal: options.signal,
      })
      return { loss: finiteLoss(outputs.loss!.data[0]!, 0), gradient }
    })
  }

  /**
   * One optimizer step for each batch, with the learning rate at the same index. Cancelled or failed half-way, it
   * leaves the parameters after the last whole step; after DEVICE_LOST they are gone, and {@link restart} is due.
   * @throws {SwarmError} DATA_INVALID; LOSS_NOT_FINITE naming the step; as the backend's `run`.
   */
  async steps(
    batches: readonly Batch[],
    learningRates: readonly number[],
    { signal, onStep }: StepOptions = {},
  ): Promise<{ losses: number[] }> {
    for (const batch of batches) requireTypes(batch, this.program)
    const losses: number[] = []
    for (const [index, batch] of batches.entries()) {
      const scalars = { learning_rate: scalar(learningRates[index]!), step: scalar(this.#stepCount + 1) }
      const stepLoss = await this.#graphs.inMemory(batch, true, (pieces) =>
        this.#step(pieces, scalars, signal),
      )
      this.#stepCount += 1
      const loss = finiteLoss(stepLoss, index)
      losses.push(loss)
      await onStep?.(index, loss)
    }
    return { losses }
  }

  /**
   * Loss and hits of one batch at the current parameters, which stay.
   * @throws {SwarmError} DATA_INVALID; as the backend's `run`.
   */
  evaluate(batch: Batch, { signal }: { signal?: AbortSignal } = {}): Promise<Evaluation> {
    return this.#graphs.inMemory(batch, false, async (pieces) => {
      const total = { lossSum: 0, correct: 0, predictions: 0 }
      for (const piece of pieces) {
        const executable = await this.#graphs.get('evaluation', piece.size)
        const outputs = await executable.run(this.#feeds(piece), { signal })
        total.lossSum += outputs.loss_sum!.data[0]!
        total.correct += outputs.correct!.data[0]!
        total.predictions += outputs.count!.data[0]!
      }
      return total
    })
  }

  /** Factor of the loss on its way back, a power of two; used by programs in float16. */
  get lossScale(): number {
    return this.#lossScale.value
  }

  /**
   * Sets the optimizer's slots to zero, its step count to 0 and the loss's scale to its first value, as at the start of
   * a run.
   */
  resetOptimizer(): void {
    this.#stepCount = 0
    this.#lossScale.reset()
    this.#state.forget(this.program.slotNames)
  }

  /**
   * Begins anew after DEVICE_LOST: at the parameters that were last loaded or read, with the optimizer's slots at zero.
   * Slots are not saved for this: reading them back in every round would cost up to twice the parameters' transfer.
   */
  async restart(): Promise<void> {
    await this.#graphs.release()
    await this.#state.restart()
    this.#graphs.renew()
    this.resetOptimizer()
  }

  /** Gives graphs and state back. The trainer must not be used afterwards. */
  async release(): Promise<void> {
    await this.#graphs.release()
    await this.#state.release()
  }

  /** One optimizer step on a batch. Returns the loss before it. */
  async #step(
    pieces: readonly MicroBatch[],
    scalars: Readonly<Record<string, Tensor>>,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    const [first] = pieces
    const isWhole = pieces.length === 1
    const executable = isWhole ? await this.#graphs.get('step', first!.size) : await this.#graphs.apply()
    await this.#state.zero(this.program.slotNames, executable.inputs)
    const summed = isWhole ? undefined : await this.#accumulate(pieces, { signal })
    const outputs = isWhole
      ? await this.#runBack(executable, { ...this.#feeds(first!), ...scalars }, { signal })
      : await executable.run(scalars, { signal })
    this.#state.markStepped()
    return summed ?? outputs.loss!.data[0]!
  }

  /** Leaves the gradient of all `pieces` together in the state's sums. Returns their loss. */
  async #accumulate(pieces: readonly MicroBatch[], { signal }: { signal?: AbortSignal }): Promise<number> {
    let loss = 0
    for (const [index, piece] of pieces.entries()) {
      const executable = await this.#graphs.get('accumulate', piece.size)
      await this.#state.zero(this.#graphs.split.sumNames, executable.inputs)
      const scalars = { share: scalar(piece.share), kept: scalar(Number(index > 0)) }
      const outputs = await this.#runBack(executable, { ...this.#feeds(piece), ...scalars }, { signal })
      loss += piece.share * outputs.loss!.data[0]!
    }
    return loss
  }

  /**
   * Runs a graph with a backward pass; in float16 until its gradients are finite, with half the scale each time.
   * @throws {SwarmError} LOSS_NOT_FINITE when no scale helps; a loss that is not finite itself is returned.
   */
  async #runBack(
    executable: Executable,
    feeds: Readonly<Record<string, Tensor>>,
    options: RunOptions,
  ): Promise<Record<string, Tensor>> {
    if (this.program.precision === 'float32') return executable.run(feeds, options)
    for (;;) {
      const outputs = await executable.run({ ...feeds, loss_scale: scalar(this.#lossScale.value) }, options)
      if (Number.isFinite(outputs.gradient_square!.data[0])) {
        this.#lossScale.succeeded()
        return outputs
      }
      if (!Number.isFinite(outputs.loss!.data[0])) return outputs
      if (!this.#lossScale.overflowed()) throw gradientOverflow()
    }
  }

  #feeds({ batch }: MicroBatch): Record<string, Tensor> {
    const { inputs, labels } = this.program
    const samples = inputs.map(({ name }) => [name, batch.inputs[name]!] as const)
    return { ...Object.fromEntries(samples), [labels.name]: batch.labels }
  }
}

function finiteLoss(loss: number, index: number): number {
  if (Number.isFinite(loss)) return loss
  throw new SwarmError('LOSS_NOT_FINITE', `loss of local step ${index} is ${loss}`, {
    hint: 'Lower the learning rate, add warm-up steps or gradient clipping, and check the data for non-finite values.',
  })
}

function gradientOverflow(): SwarmError {
  return new SwarmError(
    'LOSS_NOT_FINITE',
    'the gradient overflows float16 even when the loss is not scaled',
    {
      hint: 'Set train.precision to float32, or lower the learning rate.',
    },
  )
}

function scalar(value: number): Tensor {
  return { dtype: 'float32', shape: [], data: Float32Array.of(value) }
}
