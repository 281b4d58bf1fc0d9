/**
 * Notices a call that will never end. When a graphics device is lost in the middle of a run, or while results are read
 * from it, onnxruntime (1.30) does not always learn of it: the call stays pending for good, and the whole build with
 * it. Nothing inside the worker can mend that, so the worker says so and is replaced (`reviving-compute.ts`). A run
 * that fails by itself is the engine's to handle.
 */

import type { Backend, CarriedState, Executable } from '../../engine/backends/backend.ts'

/** A run that the runtime itself gives up after the loss does so within milliseconds. */
const graceMs = 2_000

export interface StuckRunsInit {
  /** The device that sessions use now; another one after a loss. */
  device(): Promise<GPUDevice>
  /** Called when a run has outlived its device. */
  onStuck(): void
}

/** `backend`, whose runs, and whose ways to and from the device's memory, are watched. */
export function watchingRuns(backend: Backend, { device, onStuck }: StuckRunsInit): Backend {
  /** What is pending on each device: one call at a time, but a device may be shared. */
  const pending = new Map<GPUDevice, number>()
  /** The backend's own state behind each watched one. */
  const innerStates = new WeakMap<CarriedState, CarriedState>()

  const watch = (device: GPUDevice) => {
    pending.set(device, 0)
    void device.lost.then(() =>
      setTimeout(() => {
        if (pending.get(device) !== 0) onStuck()
      }, graceMs),
    )
  }
  const watched = async <Result>(call: () => Promise<Result>): Promise<Result> => {
    const used = await device()
    if (!pending.has(used)) watch(used)
    pending.set(used, pending.get(used)! + 1)
    try {
      return await call()
    } finally {
      pending.set(used, pending.get(used)! - 1)
    }
  }
  const watchedState = (state: CarriedState): CarriedState => {
    const outer: CarriedState = {
      write: (name, tensor) => watched(() => state.write(name, tensor)),
      read: (name, into) => watched(() => state.read(name, into)),
      release: () => state.release(),
    }
    innerStates.set(outer, state)
    return outer
  }
  const watchedExecutable = (executable: Executable): Executable => ({
    inputs: executable.inputs,
    state: watchedState(executable.state),
    run: (feeds, options) => watched(() => executable.run(feeds, options)),
    release: () => executable.release(),
  })
  return {
    name: backend.name,
    get threads() {
      return backend.threads
    },
    halfKernels: () => watched(() => backend.halfKernels()),
    compile: async (model, options = {}) => {
      const state = options.state && (innerStates.get(options.state) ?? options.state)
      return watchedExecutable(await backend.compile(model, { ...options, state }))
    },
    newState: () => watchedState(backend.newState()),
    inferTypes: (model) => backend.inferTypes(model),
    evaluateConstants: (model) => backend.evaluateConstants(model),
  }
}
