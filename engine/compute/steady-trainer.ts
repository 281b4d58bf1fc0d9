/**
 * A trainer that outlives its device: opened on the fastest backend, and when a device is lost in the middle of a task,
 * made ready again and given the task from its start. The optimizer's slots then start from zero.
 *
 * A device that is lost again in the same task is given up for the next candidate. A task that float16 is too small for
 * is given again in float32, and so are all later ones. Running out of memory is the trainer's own business (it takes a
 * lighter program). What happened is noted, in sentences for the log.
 */
import { assert } from '../../protocols/core/assert.ts'
import { hasCode, SwarmError } from '../../protocols/core/errors.ts'
import { deviceLossesMax } from '../../protocols/core/limits.ts'
import { seededRandom } from '../../protocols/core/random.ts'
import type { Backend, BackendName } from '../backends/backend.ts'
import { type Candidate, chooseBackend, type Timing } from '../backends/choose.ts'
import { compileProgram } from '../program/compile-program.ts'
import { stepBytes } from '../program/memory.ts'
import type { Recomputation } from '../program/recomputation.ts'
import type { PrecisionChoice, TrainingProgram, TrainingSpec } from '../program/training-program.ts'
import { randomBatch } from '../training/random-batch.ts'
import { Trainer } from '../training/trainer.ts'

export interface SteadyInit {
  /** ONNX; kept. */
  model: Uint8Array
  spec: TrainingSpec
  /** Samples of one run of a graph, 1 to `spec.batch`. */
  microBatch: number
  /** The model file takes no other number; then nothing is cut into smaller pieces. Default: false. */
  isBatchFixed?: boolean
  /** Bytes that a step may take by estimate; before samples are cut, values are recomputed. Default: no limit. */
  memoryBytesMax?: number | undefined
  /** Recomputed at least, also where the estimate fits. Default: nothing. */
  recomputationMin?: Recomputation | undefined
  /** In the order of trying; one or more. */
  candidates: readonly Candidate[]
}

/** A trainer as {@link chooseBackend} times it. */
interface Contestant {
  trainer: Trainer
  step(signal: AbortSignal | undefined): Promise<void>
  release(): Promise<void>
}

interface Opened {
  readonly kind: 'opened'
  readonly backend: Backend
  readonly trainer: Trainer
}

/**
 * `none`: the last one was given up and no other made ready, because that was cancelled or failed; the next task makes
 * one ready, for `microBatch` samples.
 */
type Stand = Opened | { readonly kind: 'none'; readonly microBatch: number } | { readonly kind: 'released' }

export class SteadyTrainer {
  readonly #init: SteadyInit
  /** Those that have not failed. */
  #candidates: readonly Candidate[]
  #stand: Stand
  #precision: PrecisionChoice
  #notes: string[] = []

  /**
   * @throws {SwarmError} as `compileProgram` and the backends' `compile`; the first candidate's when none works.
   * @throws {unknown} `signal.reason`.
   */
  static async open(init: SteadyInit, options: { signal?: AbortSignal } = {}): Promise<SteadyTrainer> {
    const steady = new SteadyTrainer(init)
    await steady.#choose(init.microBatch, options.signal)
    return steady
  }

  private constructor(init: SteadyInit) {
    this.#init = init
    this.#candidates = init.candidates
    this.#stand = { kind: 'none', microBatch: init.microBatch }
    this.#precision = init.spec.precision ?? 'float32'
  }

  get backend(): BackendName {
    return this.#current.backend.name
  }

  get threads(): number {
    return this.#current.backend.threads
  }

  get microBatch(): number {
    return this.#current.trainer.microBatch
  }

  get program(): TrainingProgram {
    return this.#current.trainer.program
  }

  /** Sentences for the log about what happened since the last call. */
  takeNotes(): string[] {
    return this.#notes.splice(0)
  }

  /**
   * Calls `task` with a trainer that holds `start`, f32[parameterCount]; again when a device is lost or float16 is left
   * on the way, so what the task leaves outside must not depend on where it stopped. `start` is borrowed and must not
   * change meanwhile. Cancelled or failed in the middle of a hand-over, the next call makes a trainer ready.
   * @throws {SwarmError} DEVICE_LOST when no candidate is left; as {@link SteadyTrainer.open}; what `task` throws.
   * @throws {unknown} `signal.reason`, of a hand-over.
   */
  async run<Result>(
    start: Float32Array,
    task: (trainer: Trainer) => Promise<Result>,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<Result> {
    if (this.#stand.kind === 'none') await this.#choose(this.#stand.microBatch, signal)
    for (let losses = 0; ; ) {
      try {
        this.#current.trainer.load(start)
        return await task(this.#current.trainer)
      } catch (error) {
        if (hasCode(error, 'LOSS_NOT_FINITE') && this.#isHalf) {
          await this.#leaveHalf(error)
          continue
        }
        if (!hasCode(error, 'DEVICE_LOST')) throw error
        losses += 1
        if (losses <= deviceLossesMax) await this.#restart()
        else if (!(await this.#replace(signal))) throw error
      }
    }
  }

  /** Gives everything back. The trainer must not be used afterwards. */
  async release(): Promise<void> {
    const stand = this.#stand
    this.#stand = { kind: 'released' }
    if (stand.kind === 'opened') await stand.trainer.release()
  }

  get #current(): Opened {
    assert(this.#stand.kind === 'opened', `a trainer in use, whose stand is ${this.#stand.kind}`)
    return this.#stand
  }

  get #isHalf(): boolean {
    return this.program.precision === 'float16'
  }

  /** Goes on in float32, on the same backend. What overflowed in float16 would do so in every task from here. */
  async #leaveHalf({ message }: SwarmError): Promise<void> {
    const { backend, microBatch } = await this.#giveUp()
    this.#precision = 'float32'
    const { trainer } = await this.#prepare(backend, microBatch)
    this.#stand = { kind: 'opened', backend, trainer }
    this.#notes.push(`steps compute in float32 from now on: ${message}`)
  }

  /** Releases the present trainer. Returns what the next one shall begin with. */
  async #giveUp(): Promise<{ backend: Backend; microBatch: number }> {
    const { backend, trainer } = this.#current
    const { microBatch } = trainer
    this.#stand = { kind: 'none', microBatch }
    await trainer.release()
    return { backend, microBatch }
  }

  async #restart(): Promise<void> {
    await this.#current.trainer.restart()
    this.#notes.push(`${this.backend} lost its device: graphs are built anew, the task starts again`)
  }

  /** Goes on without the present backend. False when it was the last. */
  async #replace(signal: AbortSignal | undefined): Promise<boolean> {
    const lost = this.backend
    const others = this.#candidates.filter(({ name }) => name !== lost)
    if (others.length === 0) return false
    this.#candidates = others
    const { microBatch } = await this.#giveUp()
    await this.#choose(microBatch, signal)
    this.#notes.push(`${lost} lost its device again: ${this.backend} takes over`)
    return true
  }

  async #choose(microBatch: number, signal: AbortSignal | undefined): Promise<void> {
    const { backend, contestant, timings } = await chooseBackend(this.#candidates, {
      prepare: (candidate) => this.#prepare(candidate, microBatch),
      now: () => performance.now(),
      onTiming: (timing) => this.#notes.push(noteOf(timing)),
      signal,
    })
    const failed = timings.flatMap((timing) => ('failure' in timing ? [timing.backend] : []))
    this.#candidates = this.#candidates.filter(({ name }) => !failed.includes(name))
    contestant.trainer.resetOptimizer() // not in each timed step: a scale of the loss that has to be found again would count as work
    this.#stand = { kind: 'opened', backend, trainer: contestant.trainer }
    if (this.#isHalf) this.#notes.push('steps compute in float16')
    else if (this.#precision === 'float16')
      this.#notes.push(`steps compute in float32: ${this.backend} has no float16`)
    if (this.program.recomputation !== 'nothing' || this.microBatch < microBatch)
      this.#notes.push(stepNote(this.program))
  }

  async #prepare(backend: Backend, microBatch: number): Promise<Contestant> {
    const { model, spec, isBatchFixed = false, memoryBytesMax = Number.POSITIVE_INFINITY } = this.#init
    const precision = this.#precision
    const compile = (batch: number, recomputationMin = this.#init.recomputationMin ?? 'nothing') =>
      compileProgram(model, { ...spec, batch, precision }, backend, { memoryBytesMax, recomputationMin })
    let program = await compile(microBatch)
    for (let size = microBatch; stepBytes(program.memory) > memoryBytesMax; ) {
      if (size === 1 || isBatchFixed) throw doesNotFit(size, stepBytes(program.memory), memoryBytesMax)
      size = Math.floor(size / 2)
      program = await compile(size)
    }
    const trainer = new Trainer(program, backend, {
      recompile: compile,
      microBatchMin: isBatchFixed ? microBatch : 1,
      onLighten: (lighter, { message }) => this.#notes.push(`${stepNote(lighter)}, since ${message}`),
    })
    // before the first real sample has arrived, and perhaps with a vocabulary smaller than the classes
    const batch = randomBatch(program, seededRandom(1), { idsBelow: 1 })
    const step = async (signal: AbortSignal | undefined) => {
      trainer.load(program.initial)
      await trainer.steps([batch], [0], { signal }).catch(unlessNotFinite)
    }
    return { trainer, step, release: () => trainer.release() }
  }
}

function doesNotFit(samples: number, bytes: number, bytesMax: number): SwarmError {
  const what = samples === 1 ? 'one sample' : `the ${samples} samples that the file fixes`
  return new SwarmError(
    'OUT_OF_MEMORY',
    `a step on ${what} takes ${mebibytes(bytes)} by estimate; the limit is ${mebibytes(bytesMax)}`,
    {
      hint:
        samples === 1
          ? 'Allow more memory, or train a smaller model or shorter sequences.'
          : 'Allow more memory, or export with an open batch, so that it can be cut into pieces.',
    },
  )
}

const memoryWays: Readonly<Record<Recomputation, string>> = {
  nothing: 'keeps its activations',
  cheap: 'recomputes cheap activations',
  everything: 'recomputes its activations',
}

function stepNote({ batch, recomputation, memory }: TrainingProgram): string {
  return `a step on ${batch} samples ${memoryWays[recomputation]}, for ${mebibytes(stepBytes(memory))} by estimate`
}

function mebibytes(size: number): string {
  return `${Math.ceil(size / 2 ** 20)} MiB`
}

/** Made-up samples can make a loss that is not finite; the step took its time all the same. */
function unlessNotFinite(error: unknown): void {
  if (!hasCode(error, 'LOSS_NOT_FINITE')) throw error
}

/** Three digits, and all of those before the point. */
function milliseconds(ms: number): string {
  return `${ms < 1_000 ? ms.toPrecision(3) : Math.round(ms)} ms`
}

function noteOf(timing: Timing): string {
  return 'failure' in timing
    ? `${timing.backend} is not used: ${timing.failure.message}`
    : `${timing.backend} takes ${milliseconds(timing.stepMs)} for a step`
}
