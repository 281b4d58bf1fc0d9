/**
 * Trains one model on one backend: batch in, loss and update out.
 *
 * Two ways, after the job's local steps. `gradient` computes one batch's gradient at the loaded parameters and changes
 * nothing: peers average it and step together. `steps` runs the optimizer inside the graph, with parameters and its slots
 * staying where the backend computes; only the loss comes out of each step.
 *
 * The parameters live in one of two homes: a flat array here, or the step graph's carried tensors. Whichever was written
 * last holds the truth, and the other is brought up to date when it is asked for. The three graphs are compiled on first
 * use, because most jobs need only two of them.
 *
 * Not owned here: batches, learning rates, rounds, threads. Calls must not overlap; the compute server (engine/compute)
 * sees to that.
 */
import { SwarmError } from '../protocols/core/errors.ts'
import type { Batch, Tensor } from '../protocols/core/tensor.ts'
import type { Backend, Executable } from './backends/backend.ts'
import type { TrainingProgram } from './program.ts'

export interface Gradient {
  /** Mean over the batch. */
  loss: number
  /** f32[parameterCount], the caller's. */
  gradient: Float32Array
}

export interface Evaluation {
  /** Sum of the loss over predictions. */
  lossSum: number
  /** Predictions whose largest logit is the label's; 0 where there are no classes. */
  correct: number
  /** Labels in the batch. */
  predictions: number
}

export interface StepOptions {
  signal?: AbortSignal
  /** Called after each step with its index in this call, from 0. What it returns is awaited: the place to yield or pause. */
  onStep?: (index: number, loss: number) => void | Promise<void>
}

export class Trainer {
  readonly program: TrainingProgram
  readonly #backend: Backend
  readonly #flat: Float32Array
  readonly #views: Readonly<Record<string, Tensor>>
  /** Which home holds the truth. */
  #home: 'flat' | 'carried' = 'flat'
  /** Steps since the optimizer was reset; Adam's bias correction counts them. */
  #stepCount = 0
  #gradientGraph: Promise<Executable> | undefined
  #stepGraph: Promise<Executable> | undefined
  #evaluationGraph: Promise<Executable> | undefined

  /** A trainer at the model file's own parameters. `program` is kept and only read. */
  static create(program: TrainingProgram, backend: Backend): Trainer {
    return new Trainer(program, backend)
  }

  private constructor(program: TrainingProgram, backend: Backend) {
    this.program = program
    this.#backend = backend
    this.#flat = program.initial.slice()
    this.#views = Object.fromEntries(
      program.parameters.map(({ name, shape, offset, length }) => [
        name,
        { dtype: 'float32', shape, data: this.#flat.subarray(offset, offset + length) },
      ]),
    )
  }

  /** Sets the parameters to a copy of `flat`, f32[parameterCount]. The optimizer's slots stay as they are. */
  load(flat: Float32Array): void {
    this.#flat.set(flat)
    this.#home = 'flat'
  }

  /** Copies the parameters to `into`, f32[parameterCount]. */
  async read(into: Float32Array): Promise<void> {
    await this.#bringHome()
    into.set(this.#flat)
  }

  /**
   * Loss and gradient of one batch at the current parameters, which stay. `into`: the array for the gradient, if the
   * caller has one.
   * @throws {SwarmError} DATA_INVALID for a batch that does not fit the model; LOSS_NOT_FINITE; as the backend's `run`.
   */
  async gradient(
    batch: Batch,
    options: { into?: Float32Array; signal?: AbortSignal } = {},
  ): Promise<Gradient> {
    const feeds = this.#batchFeeds(batch)
    await this.#bringHome()
    this.#gradientGraph ??= this.#backend.compile(this.program.gradientModel)
    const gradient = options.into ?? new Float32Array(this.program.parameterCount)
    const executable = await this.#gradientGraph
    const outputs = await executable.run(
      { ...feeds, ...this.#views },
      { into: { gradient }, signal: options.signal },
    )
    return { loss: finiteLoss(outputs, 0), gradient }
  }

  /**
   * One optimizer step for each batch, with the learning rate at the same index. Cancelled or failed half-way, it leaves
   * the parameters after the last whole step.
   * @throws {SwarmError} DATA_INVALID; LOSS_NOT_FINITE naming the step; as the backend's `run`.
   */
  async steps(
    batches: readonly Batch[],
    learningRates: readonly number[],
    { signal, onStep }: StepOptions = {},
  ): Promise<{ losses: number[] }> {
    const feeds = batches.map((batch) => this.#batchFeeds(batch))
    const executable = await this.#stepExecutable()
    const losses: number[] = []
    for (const [index, feed] of feeds.entries()) {
      const outputs = await executable.run(
        { ...feed, learning_rate: scalar(learningRates[index]!), step: scalar(this.#stepCount + 1) },
        { signal },
      )
      this.#stepCount += 1
      const loss = finiteLoss(outputs, index)
      losses.push(loss)
      await onStep?.(index, loss)
    }
    return { losses }
  }

  /**
   * Loss and hits of one batch at the current parameters, which stay.
   * @throws {SwarmError} DATA_INVALID; as the backend's `run`.
   */
  async evaluate(batch: Batch, { signal }: { signal?: AbortSignal } = {}): Promise<Evaluation> {
    const feeds = this.#batchFeeds(batch)
    await this.#bringHome()
    this.#evaluationGraph ??= this.#backend.compile(this.program.evaluationModel)
    const executable = await this.#evaluationGraph
    const outputs = await executable.run({ ...feeds, ...this.#views }, { signal })
    return {
      lossSum: outputs.loss_sum!.data[0]!,
      correct: outputs.correct!.data[0]!,
      predictions: batch.labels.data.length,
    }
  }

  /** Sets the optimizer's slots to zero and its step count to 0, as at the start of a run. */
  async resetOptimizer(): Promise<void> {
    this.#stepCount = 0
    if (this.#stepGraph !== undefined) await this.#zeroSlots(await this.#stepGraph)
  }

  /** Gives the compiled graphs back. The trainer must not be used afterwards. */
  async release(): Promise<void> {
    // A graph that failed to compile has told its caller so, and holds nothing to give back.
    const nothing = () => undefined
    for (const graph of [this.#gradientGraph, this.#stepGraph, this.#evaluationGraph]) {
      await graph?.then((executable) => executable.release(), nothing)
    }
  }

  /** The step graph with the current parameters in its carried tensors. */
  async #stepExecutable(): Promise<Executable> {
    if (this.#stepGraph === undefined) {
      this.#stepGraph = this.#backend.compile(this.program.stepModel, { carry: this.program.carry })
      await this.#zeroSlots(await this.#stepGraph)
    }
    const executable = await this.#stepGraph
    if (this.#home === 'flat') {
      for (const [name, view] of Object.entries(this.#views)) await executable.state.write(name, view)
      this.#home = 'carried'
    }
    return executable
  }

  async #zeroSlots(executable: Executable): Promise<void> {
    for (const name of this.program.slotNames) {
      const { shape } = executable.inputs.get(name)!
      const data = new Float32Array(shape.reduce((product, size) => product * size, 1))
      await executable.state.write(name, { dtype: 'float32', shape, data })
    }
  }

  /** Makes the flat array hold the truth again. */
  async #bringHome(): Promise<void> {
    if (this.#home === 'flat') return
    const executable = await this.#stepGraph!
    for (const [name, view] of Object.entries(this.#views)) {
      await executable.state.read(name, view.data as Float32Array)
    }
    this.#home = 'flat'
  }

  #batchFeeds(batch: Batch): Record<string, Tensor> {
    const { input, labels } = this.program
    const samples = batch.inputs[input.name]
    if (samples === undefined) {
      throw new SwarmError('DATA_INVALID', `batch has no input '${input.name}'`, {
        hint: `Name the data set's input '${input.name}', as the model does.`,
      })
    }
    requireType(`input '${input.name}'`, samples, input)
    requireType('labels', batch.labels, labels)
    return { [input.name]: samples, labels: batch.labels }
  }
}

function requireType(
  what: string,
  actual: Tensor,
  expected: { dtype: string; shape: readonly number[] },
): void {
  const describe = ({ dtype, shape }: { dtype: string; shape: readonly number[] }) =>
    `${dtype} [${shape.join(', ')}]`
  if (describe(actual) === describe(expected)) return
  throw new SwarmError(
    'DATA_INVALID',
    `${what} of the batch is ${describe(actual)}, the model takes ${describe(expected)}`,
    {
      hint: 'Check the batch size and the sample shape of the data set against the model.',
    },
  )
}

function finiteLoss(outputs: Readonly<Record<string, Tensor>>, index: number): number {
  const loss = outputs.loss!.data[0]!
  if (Number.isFinite(loss)) return loss
  throw new SwarmError('LOSS_NOT_FINITE', `loss of local step ${index} is ${loss}`, {
    hint: 'Lower the learning rate, add warm-up steps or gradient clipping, and check the data for non-finite values.',
  })
}

function scalar(value: number): Tensor {
  return { dtype: 'float32', shape: [], data: Float32Array.of(value) }
}
