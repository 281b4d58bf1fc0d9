/**
 * Notices a run that will never end. When a graphics device is lost in the middle of a run, onnxruntime (1.30) does not
 * always learn of it: the run stays pending for good, and the whole build with it. Nothing inside the worker can mend that, so
 * the worker says so and is replaced (`reviving-compute.ts`). A run that fails by itself is the engine's to handle.
 */

import type { Backend, Executable } from '../../engine/backends/backend.ts'

/** A run that the runtime itself gives up after the loss does so within milliseconds. */
const graceMs = 2_000

export interface StuckRunsInit {
  /** The device that sessions use now; another one after a loss. */
  device(): Promise<GPUDevice>
  /** Called when a run has outlived its device. */
  onStuck(): void
}

/** `backend`, whose runs are watched. */
export function watchingRuns(backend: Backend, { device, onStuck }: StuckRunsInit): Backend {
  /** Runs pending on each device: one at a time, but a device may be shared. */
  const pending = new Map<GPUDevice, number>()

  const watch = (device: GPUDevice) => {
    pending.set(device, 0)
    void device.lost.then(() =>
      setTimeout(() => {
        if (pending.get(device) !== 0) onStuck()
        pending.delete(device)
      }, graceMs),
    )
  }
  const watched = (executable: Executable): Executable => ({
    inputs: executable.inputs,
    state: executable.state,
    run: async (feeds, options) => {
      const used = await device()
      if (!pending.has(used)) watch(used)
      pending.set(used, pending.get(used)! + 1)
      try {
        return await executable.run(feeds, options)
      } finally {
        pending.set(used, pending.get(used)! - 1)
      }
    },
    release: () => executable.release(),
  })
  return {
    name: backend.name,
    compile: async (model, options) => watched(await backend.compile(model, options)),
    newState: () => backend.newState(),
    inferTypes: (model) => backend.inferTypes(model),
    evaluateConstants: (model) => backend.evaluateConstants(model),
  }
}
