/**
 * The kernels that a donor lends: which build of onnxruntime is loaded, which backends may be used, and how fast.
 *
 *     click ──▶ worker and runtime start at once ──▶ the job's model opens ──▶ tasks
 *                                                         ▲ threads or the graphics card changed: another worker
 *
 * What won the timing at an earlier visit is not timed again (storage/kept-jobs.ts). Knows nothing of the network.
 */

import type { BackendChoice, Compute, OpenedModel, OpenOptions } from '../../engine/compute/compute.ts'
import type { Clock } from '../../protocols/core/clock.ts'
import type { SwarmError } from '../../protocols/core/errors.ts'
import type { WorkLimits } from '../donation.ts'
import type { Program } from '../program.ts'
import { type KeptChoice, type KeptJob, keepChoice, validChoice } from '../storage/kept-jobs.ts'
import { openTabCompute, type TabCompute } from '../worker/compute.ts'
import type { Runtime } from '../worker/messages.ts'
import { type RevivingCompute, revivingCompute } from '../worker/reviving-compute.ts'
import { chooseRuntime, loadRuntime, runtimeOf } from './runtime.ts'

export interface DonatedComputeInit {
  program: Program
  clock: Clock
  /** CID of the job that it will compute. */
  job: string
  limits: WorkLimits
  /** What is kept of the job. */
  kept: Promise<KeptJob | undefined>
  /** Aborts the loading of the runtime. */
  signal: AbortSignal
  onRuntime(bytes: number, bytesTotal: number): void
  /** Something could not be loaded, and the kernels go on as they were. */
  onTrouble(error: unknown): void
  /** After each step. */
  onStep(): void
  /** Where kernels run now. `death`: what the last worker died of; undefined when none did. */
  onChosen(backend: Pick<OpenedModel, 'backend' | 'notes'>, threads: Threads, death?: SwarmError): void
}

/** Threads of a graph: what the donor allows, and what the browser gives. */
export interface Threads {
  asked: number
  got: number
}

export class DonatedCompute {
  readonly #init: DonatedComputeInit
  readonly #reviving: RevivingCompute<TabCompute>
  #limits: WorkLimits
  #runtime: Promise<Runtime>
  #choice: KeptChoice | undefined
  #threads: Threads

  constructor(init: DonatedComputeInit) {
    this.#init = init
    this.#limits = init.limits
    this.#threads = { asked: init.limits.threads, got: 1 }
    this.#runtime = this.#load()
    this.#reviving = revivingCompute({
      start: () => this.#start(),
      onReplaced: (model, death) => {
        if (death !== undefined) void this.#forgetChoice()
        this.#tell(model, death)
      },
    })
  }

  /** As the run uses it: steps are counted, and changes of mind told (a lost device, memory that ran out). */
  get compute(): Compute {
    const reviving = this.#reviving
    return {
      ...reviving,
      open: async (model, spec, options, cancel) => {
        await this.#runtime // whose failure has a name of its own
        const opened = await reviving.open(model, spec, { ...options, ...this.#options() }, cancel)
        this.#tell(opened)
        await this.#keepChoice(opened)
        return opened
      },
      train: async (task, options) => {
        const result = await reviving.train(task, { ...options, onStep: () => this.#init.onStep() })
        if (result.notes.length > 0) this.#init.onChosen(result, this.#threads)
        return result
      },
    }
  }

  /** Obeyed from the next micro-batch on; threads and the graphics card from the next task on. */
  limit(limits: WorkLimits): void {
    const { threads, mayUseGpu } = this.#limits
    this.#limits = limits
    this.#reviving.worker.allow(limits)
    if (limits.threads === threads && limits.mayUseGpu === mayUseGpu) return
    if (limits.mayUseGpu && !mayUseGpu) void this.#fetchGraphics()
    else this.#reviving.change(this.#options())
  }

  /** Ends the worker at once, in the middle of whatever it does. */
  kill(): void {
    this.#reviving.worker.kill()
  }

  close(): Promise<void> {
    return this.#reviving.close()
  }

  #start(): TabCompute {
    const { program, clock } = this.#init
    const url = new URL(program.entries.computeWorker, document.baseURI)
    const { threads } = this.#limits
    return openTabCompute({ url, runtime: this.#runtime, threads, allowance: this.#limits, clock })
  }

  async #load(): Promise<Runtime> {
    const { program, kept, signal, onRuntime } = this.#init
    const { mayUseGpu, threads } = this.#limits
    const conditions = { build: program.build, threads, mayUseGpu }
    this.#choice = validChoice((await kept)?.choice, conditions, Date.now())
    // what was loaded for an earlier choice is in the browser's cache, from which the worker takes it
    if (this.#choice !== undefined) return runtimeOf(program, this.#choice.runtime)
    return loadRuntime(program, await chooseRuntime(mayUseGpu), { signal, onProgress: onRuntime })
  }

  /** The runtime of the start may know no graphics cards; the one that does is loaded while the other goes on. */
  async #fetchGraphics(): Promise<void> {
    const runtime = this.#load()
    try {
      await runtime
    } catch (error) {
      if (!this.#init.signal.aborted) this.#init.onTrouble(error)
      return
    }
    this.#runtime = runtime
    this.#reviving.change(this.#options())
  }

  #options(): Pick<OpenOptions, 'backend' | 'threads' | 'preferred'> {
    const { mayUseGpu, threads } = this.#limits
    const backend: BackendChoice = mayUseGpu ? 'auto' : 'wasm'
    return { backend, threads, preferred: this.#choice?.backend }
  }

  #tell(model: OpenedModel, death?: SwarmError): void {
    this.#threads = { asked: this.#limits.threads, got: model.threads }
    const isRemembered = this.#limits.mayUseGpu && this.#choice?.backend === model.backend
    const notes = [
      ...model.notes,
      ...(isRemembered ? ['it was the fastest at this job before'] : []),
      ...(death === undefined ? [] : [`a batch is computed ${model.microBatch} samples at a time`]),
    ]
    this.#init.onChosen({ ...model, notes }, this.#threads, death)
  }

  async #keepChoice({ backend }: OpenedModel): Promise<void> {
    if (this.#choice?.backend === backend) return
    const { program, job } = this.#init
    const { name: runtime } = await this.#runtime
    const { threads, mayUseGpu } = this.#limits
    const { build } = program
    this.#choice = { build, threads, mayUseGpu, runtime, backend, chosenMs: Date.now() }
    await keepChoice(job, this.#choice)
  }

  async #forgetChoice(): Promise<void> {
    this.#choice = undefined
    await keepChoice(this.#init.job, undefined)
  }
}
