/**
 * A `Compute` that outlives its worker. When the worker dies in the middle of a task or while it opens the model (it
 * ran out of memory, a graphics device took the runtime with it), another one opens the same model and does the task
 * again. After a death on WebAssembly, which is one of memory, it makes values again instead of keeping them, which
 * changes no bit; after the next one it works in smaller pieces too. From the second death on it computes on
 * WebAssembly.
 *
 * In the same way a worker is replaced when other threads or another backend are wanted: onnxruntime fixes both with a
 * realm's first model. The optimizer's slots then start from zero, as after any lost device.
 *
 *     ready ──task──▶ ready
 *       │ change, or the worker died        ┌─ opens the model ─▶ ready
 *       └──────────────▶ not ready ──task───┘
 */

import type { Compute, OpenedModel, OpenOptions } from '../../engine/compute/compute.ts'
import type { TrainingSpec } from '../../engine/program/training-program.ts'
import { SwarmError } from '../../protocols/core/errors.ts'

/** A model that kills its worker three times does not fit this device. */
const deathsMax = 3

/**
 * The pieces after a death that recomputing did not prevent, as a share of those before: this one must fit, or the
 * model does not.
 */
const shrinkBy = 16

/** A `Compute` that can be ended from outside, and tells when it has died by itself. */
export interface MortalCompute extends Compute {
  readonly isDead: boolean
}

interface Wanted {
  model: Uint8Array
  spec: TrainingSpec
  options: OpenOptions
}

export interface RevivingInit<Worker extends MortalCompute> {
  /** Starts a worker. */
  start(): Worker
  /** Another worker has taken over: `death` is what the last one died of, undefined where a change was asked for. */
  onReplaced(model: OpenedModel, death: SwarmError | undefined): void
}

export interface RevivingCompute<Worker extends MortalCompute> extends Compute {
  /** The worker of now. */
  readonly worker: Worker
  /**
   * From the next task on, or the first `open`, another worker computes; a model that is open is opened there with
   * `changes`.
   */
  change(changes: Partial<OpenOptions>): void
}

/** Starts the first worker. */
export function revivingCompute<Worker extends MortalCompute>({
  start,
  onReplaced,
}: RevivingInit<Worker>): RevivingCompute<Worker> {
  let worker = start()
  let wanted: Wanted | undefined
  /** What the model was opened as last. */
  let opened: OpenedModel | undefined
  /** The model is open in `worker`. */
  let isReady = false
  /** `worker` lives, and is to be replaced. */
  let isOutdated = false
  let death: SwarmError | undefined
  let deaths = 0
  let isClosed = false

  const open = async ({ model, spec, options }: Wanted, signal: AbortSignal | undefined) => {
    if (isOutdated) {
      isOutdated = false
      const old = worker
      worker = start()
      await old.close()
    }
    opened = await worker.open(model, spec, options, { signal })
    isReady = !isOutdated
    return opened
  }
  const prepare = async (signal: AbortSignal | undefined) => {
    if (isReady || wanted === undefined) return
    onReplaced(await open(wanted, signal), death)
    death = undefined
  }
  const openFirst = async (signal: AbortSignal | undefined) => {
    const model = await open(wanted!, signal)
    if (death !== undefined) onReplaced(model, death)
    death = undefined
    return model
  }
  /** @throws {SwarmError} `error` when no other worker would fare better. */
  const replaceDead = (error: SwarmError) => {
    if (wanted === undefined || isClosed || ++deaths >= deathsMax) throw error
    const options = { ...wanted.options }
    if (deaths > 1) options.backend = 'wasm'
    if (opened?.backend === 'wasm') {
      if (options.recomputationMin === 'everything')
        options.microBatch = Math.max(1, Math.floor(opened.microBatch / shrinkBy))
      options.recomputationMin = 'everything'
    }
    wanted = { ...wanted, options }
    worker = start()
    isReady = false
    isOutdated = false
    death = error
  }
  /** `task`, again as long as its worker dies of it. */
  const outliving = async <Result>(
    signal: AbortSignal | undefined,
    task: () => Promise<Result>,
  ): Promise<Result> => {
    while (true) {
      try {
        return await task()
      } catch (error) {
        if (!(error instanceof SwarmError) || !worker.isDead || signal?.aborted) throw error
        replaceDead(error)
      }
    }
  }
  /** The same for a task that needs the model open. */
  const working = <Result>(signal: AbortSignal | undefined, task: () => Promise<Result>): Promise<Result> =>
    outliving(signal, async () => {
      await prepare(signal)
      return task()
    })
  return {
    get worker() {
      return worker
    },
    open: (model, spec, options, cancel) => {
      wanted = { model, spec, options }
      return outliving(cancel?.signal, () => openFirst(cancel?.signal))
    },
    train: (task, options) => working(options?.signal, () => worker.train(task, options)),
    evaluate: (parameters, batches, options) =>
      working(options?.signal, () => worker.evaluate(parameters, batches, options)),
    change: (changes) => {
      if (wanted !== undefined) wanted = { ...wanted, options: { ...wanted.options, ...changes } }
      isReady = false
      isOutdated = true
    },
    close: () => {
      isClosed = true
      return worker.close()
    },
  }
}
