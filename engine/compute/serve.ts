/**
 * The worker's end of the compute boundary: one model, one trainer, one call at a time.
 *
 * Cancellation: a call's `AbortController` is found by its id. The thread is blocked while a graph runs, so the loop
 * gives the port a turn between steps; a cancelled call answers `cancelled` there. A `SwarmError` is an answer like any
 * other; anything else is a bug, is reported as `crashed`, and ends the worker. So does a trap of WebAssembly, which
 * most often ran out of memory: what it leaves behind is broken, and every later call would trap too (onnxruntime-web
 * 1.30).
 */
import { assert, unreachable } from '../../protocols/core/assert.ts'
import { hasCode, SwarmError } from '../../protocols/core/errors.ts'
import { type Candidate, preferring } from '../backends/choose.ts'
import { Mutex } from '../backends/mutex.ts'
import { graphBatch } from '../model/graph-batch.ts'
import { squaredNorm } from '../optimizers/flat.ts'
import { stepBytes } from '../program/memory.ts'
import type { StepOptions, Trainer } from '../training/trainer.ts'
import type { EvaluationResult, OpenedModel, OpenOptions, TrainResult, TrainTask } from './compute.ts'
import { type Call, failureOf, type Request, type ResultOf, type ServerPort } from './messages.ts'
import { SteadyTrainer } from './steady-trainer.ts'

/** The backends that `options` leave to choose from, one or more, in the order of trying. */
export type Candidates = (options: OpenOptions) => readonly Candidate[] | Promise<readonly Candidate[]>

/** Serves `port` until a `close` request or a bug. */
export function serveCompute(port: ServerPort, candidates: Candidates): void {
  const server = new Server(port, candidates)
  port.onRequest((request) => server.handle(request))
}

class Server {
  readonly #port: ServerPort
  readonly #candidates: Candidates
  readonly #mutex = new Mutex()
  readonly #pending = new Map<number, AbortController>()
  #trainer: SteadyTrainer | undefined

  constructor(port: ServerPort, candidates: Candidates) {
    this.#port = port
    this.#candidates = candidates
  }

  handle(request: Request): void {
    switch (request.kind) {
      case 'cancel':
        this.#pending.get(request.id)?.abort()
        return
      case 'close':
        for (const controller of this.#pending.values()) controller.abort()
        void this.#mutex.run(() => this.#close())
        return
      default: {
        const controller = new AbortController()
        this.#pending.set(request.id, controller)
        void this.#mutex.run(() => this.#answer(request.id, request, controller.signal))
      }
    }
  }

  async #answer(id: number, call: Call, signal: AbortSignal): Promise<void> {
    try {
      signal.throwIfAborted()
      const result = await this.#call(id, call, signal)
      this.#port.post({ kind: 'done', id, result }, buffersOf(result))
    } catch (error) {
      if (signal.aborted && error === signal.reason) this.#port.post({ kind: 'cancelled', id }, [])
      else if (error instanceof SwarmError && !isTrap(error))
        this.#port.post({ kind: 'failed', id, failure: failureOf(error) }, [])
      else this.#crash(error)
    } finally {
      this.#pending.delete(id)
    }
  }

  #call(id: number, call: Call, signal: AbortSignal): Promise<ResultOf[keyof ResultOf]> {
    switch (call.kind) {
      case 'open':
        return this.#open(call, signal)
      case 'train':
        return this.#train(call, signal, (index, loss) =>
          this.#port.post({ kind: 'step', id, index, loss }, []),
        )
      case 'evaluate':
        return this.#evaluate(call, signal)
      default:
        return unreachable(call)
    }
  }

  async #open(
    { model, spec, options }: Extract<Call, { kind: 'open' }>,
    signal: AbortSignal,
  ): Promise<OpenedModel> {
    await this.#trainer?.release()
    this.#trainer = undefined
    const candidates = preferring(await this.#candidates(options), options.preferred)
    const { size, isFixed } = graphBatch(model, spec.batch)
    const microBatch = isFixed ? size : Math.min(options.microBatch ?? size, size)
    const { memoryBytesMax, recomputationMin } = options
    const trainer = await SteadyTrainer.open(
      { model, spec, microBatch, isBatchFixed: isFixed, memoryBytesMax, recomputationMin, candidates },
      { signal },
    )
    this.#trainer = trainer
    const { parameters, parameterCount, classes } = trainer.program
    return {
      parameters,
      parameterCount,
      initial: trainer.program.initial.slice(),
      ...forBatch(trainer, spec.batch),
      classes,
      backend: trainer.backend,
      threads: trainer.threads,
      microBatch: trainer.microBatch,
      memoryBytes: stepBytes(trainer.program.memory),
      notes: trainer.takeNotes(),
    }
  }

  async #train(
    { task, wantsSteps }: Extract<Call, { kind: 'train' }>,
    signal: AbortSignal,
    postStep: (index: number, loss: number) => void,
  ): Promise<TrainResult> {
    const startedAt = performance.now()
    const steady = this.#opened()
    const update = new Float32Array(task.start.length)
    const onStep = async (index: number, loss: number) => {
      if (wantsSteps) postStep(index, loss)
      await this.#port.turn()
      signal.throwIfAborted()
    }
    const losses = await steady.run(
      task.start,
      (trainer) => this.#runTask(trainer, task, update, { signal, onStep }),
      { signal },
    )
    const loss = losses.reduce((sum, value) => sum + value, 0) / losses.length
    const seconds = (performance.now() - startedAt) / 1000
    const { backend, microBatch } = steady
    return { update, loss, losses, seconds, backend, microBatch, notes: steady.takeNotes() }
  }

  /** Leaves the task's update, whose elements are finite, in `update`. Returns the losses. */
  async #runTask(
    trainer: Trainer,
    task: TrainTask,
    update: Float32Array,
    options: StepOptions,
  ): Promise<number[]> {
    try {
      const losses =
        task.mode === 'gradient'
          ? await gradientInto(trainer, task, update, options)
          : await this.#stepsInto(trainer, task, update, options)
      requireFinite(task.mode, update)
      return losses
    } catch (error) {
      // A slot that met such a value would keep it for ever, and fail every later task.
      if (hasCode(error, 'LOSS_NOT_FINITE')) trainer.resetOptimizer()
      throw error
    }
  }

  /** Runs the task's steps and leaves start minus end in `update`. Returns the losses. */
  async #stepsInto(
    trainer: Trainer,
    { start, batches, learningRates }: TrainTask,
    update: Float32Array,
    options: StepOptions,
  ): Promise<number[]> {
    assert(learningRates.length === batches.length, 'one learning rate for each batch')
    const { losses } = await trainer.steps(batches, learningRates, options)
    await trainer.read(update)
    for (let i = 0; i < update.length; i++) update[i] = start[i]! - update[i]!
    return losses
  }

  async #evaluate(
    { parameters, batches }: Extract<Call, { kind: 'evaluate' }>,
    signal: AbortSignal,
  ): Promise<EvaluationResult> {
    return this.#opened().run(
      parameters,
      async (trainer) => {
        let [lossSum, correct, predictions] = [0, 0, 0]
        for (const batch of batches) {
          const part = await trainer.evaluate(batch, { signal })
          lossSum += part.lossSum
          correct += part.correct
          predictions += part.predictions
          await this.#port.turn()
        }
        return { loss: lossSum / predictions, accuracy: correct / predictions, predictions }
      },
      { signal },
    )
  }

  #opened(): SteadyTrainer {
    assert(this.#trainer !== undefined, 'train or evaluate before open')
    return this.#trainer
  }

  async #close(): Promise<void> {
    await this.#trainer?.release()
    this.#port.close()
  }

  #crash(error: unknown): void {
    const isBug = error instanceof Error && !(error instanceof SwarmError)
    const message = isBug ? (error.stack ?? error.message) : errorText(error)
    this.#port.post({ kind: 'crashed', message }, [])
    this.#port.close()
  }
}

function isTrap({ cause }: SwarmError): boolean {
  return cause instanceof WebAssembly.RuntimeError
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Types of the samples and labels of `batch` samples, whatever the micro-batch is. */
function forBatch({ program }: SteadyTrainer, batch: number): Pick<OpenedModel, 'inputs' | 'labels'> {
  const scale = batch / program.batch
  const scaled = <Type extends { shape: readonly number[] }>(type: Type): Type => {
    const [first, ...rest] = type.shape
    return { ...type, shape: [first! * scale, ...rest] }
  }
  return { inputs: program.inputs.map(scaled), labels: scaled(program.labels) }
}

async function gradientInto(
  trainer: Trainer,
  { batches }: TrainTask,
  update: Float32Array,
  { signal, onStep }: StepOptions,
): Promise<number[]> {
  assert(batches.length === 1, `gradient mode takes one batch, got ${batches.length}`)
  const { loss } = await trainer.gradient(batches[0]!, { into: update, signal })
  await onStep?.(0, loss)
  return [loss]
}

/** A finite loss can come with infinite gradients; such an update must not leave the peer. */
function requireFinite(mode: TrainTask['mode'], update: Float32Array): void {
  if (Number.isFinite(squaredNorm(update))) return
  const what = mode === 'gradient' ? 'gradient' : 'parameters after the local steps'
  throw new SwarmError('LOSS_NOT_FINITE', `${what}: not every element is finite`, {
    hint: 'Lower the learning rate, or add warm-up steps or gradient clipping.',
  })
}

/** The large arrays of a result, which move to the caller. */
function buffersOf(result: ResultOf[keyof ResultOf]): ArrayBuffer[] {
  if ('update' in result) return [result.update.buffer as ArrayBuffer]
  if ('initial' in result) return [result.initial.buffer as ArrayBuffer]
  return []
}
