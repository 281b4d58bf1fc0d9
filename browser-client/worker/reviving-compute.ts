/**
 * A `Compute` that outlives its worker. When the worker dies in the middle of a task (it ran out of memory, a graphics device
 * took the runtime with it), another one opens the same model and does the task again, and the round goes on; the optimizer's
 * slots start from zero, as after any lost device. From the second death on the new worker computes on WebAssembly.
 */

import type { Compute, OpenedModel, OpenOptions } from '../../engine/compute/compute.ts'
import type { TrainingSpec } from '../../engine/program.ts'
import { SwarmError } from '../../protocols/core/errors.ts'

/** A model that kills its worker three times does not fit this device. */
const deathsMax = 3

/** A `Compute` that can be ended from outside, and tells when it has died by itself. */
export interface MortalCompute extends Compute {
  readonly isDead: boolean
}

interface Opened {
  model: Uint8Array
  spec: TrainingSpec
  options: OpenOptions
}

export interface RevivingInit<Worker extends MortalCompute> {
  /** Starts a worker. */
  start(): Worker
  /** A worker died, and another one has taken over. */
  onRevived(model: OpenedModel, error: SwarmError): void
}

export interface RevivingCompute<Worker extends MortalCompute> extends Compute {
  /** The worker of now. */
  readonly worker: Worker
}

/** Starts the first worker. */
export function revivingCompute<Worker extends MortalCompute>({
  start,
  onRevived,
}: RevivingInit<Worker>): RevivingCompute<Worker> {
  let worker = start()
  let opened: Opened | undefined
  let deaths = 0
  let isClosed = false

  const revive = async (error: SwarmError, signal: AbortSignal | undefined) => {
    if (opened === undefined || isClosed || ++deaths >= deathsMax) throw error
    const { model, spec } = opened
    const options: OpenOptions = deaths > 1 ? { ...opened.options, backend: 'wasm' } : opened.options
    worker = start()
    onRevived(await worker.open(model, spec, options, { signal }), error)
  }
  /** `task`, again as long as its worker dies of it. */
  const outliving = async <Result>(
    signal: AbortSignal | undefined,
    task: () => Promise<Result>,
  ): Promise<Result> => {
    for (let death: SwarmError | undefined; ; ) {
      try {
        if (death !== undefined) await revive(death, signal)
        return await task()
      } catch (error) {
        if (!(error instanceof SwarmError) || error === death || !worker.isDead || signal?.aborted)
          throw error
        death = error
      }
    }
  }
  return {
    get worker() {
      return worker
    },
    open: (model, spec, options, cancel) => {
      opened = { model, spec, options }
      return worker.open(model, spec, options, cancel)
    },
    train: (task, options) => outliving(options?.signal, () => worker.train(task, options)),
    evaluate: (parameters, batches, options) =>
      outliving(options?.signal, () => worker.evaluate(parameters, batches, options)),
    close: () => {
      isClosed = true
      return worker.close()
    },
  }
}
