/**
 * onnxruntime's native CPU build as a backend, 2 to 5 times the speed of WebAssembly. Node only: `onnxruntime-node` is
 * a compiled addon, imported when the backend is opened, so that a machine without a matching binary can choose
 * another.
 */
import type { InferenceSession } from 'onnxruntime-common'
import { SwarmError } from '../../protocols/core/errors.ts'
import { reorderingModel } from '../convolution/blocked-layout.ts'
import type { Backend } from './backend.ts'
import type { OrtRuntime } from './runtime.ts'
import { ortBackend } from './session.ts'

/**
 * Microseconds for which an idle thread spins before it sleeps. Most operators of a training graph take 5 to 500, and
 * waking a thread takes as long as a small one. Two threads on two cores, the best of hundreds of steps of a small MLP,
 * when nobody else wants the second core: 1.3 to 1.5 ms without spinning, 1.1 to 1.2 with 10 or 20, 1.0 with 50 and
 * with onnxruntime's own, which is longer. Beside other work a CNN's step takes 0.94 to 1.02 of the processor time of
 * sleeping at once with 20, 1.04 to 1.09 with 50, 1.2 to 1.3 with 200.
 */
const spinUs = 20

/**
 * A backend with `threads` threads, 1 or more, for each graph.
 * @throws {SwarmError} BACKEND_FAILED when the addon cannot be loaded on this machine.
 */
export async function openNativeBackend({ threads }: { threads: number }): Promise<Backend> {
  const options: InferenceSession.SessionOptions = {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1, // training graphs are chains; a second pool only contends with the first
    // Idle threads sleep after a moment: a donor's machine has other work, often another peer's. Where they spin on, as
    // is the default, two peers on two cores take half as many steps. The level above puts poolings and resizings
    // between blocked layouts, where the convolutions beside them are not, because their weights change: a step of a
    // small CNN takes 0.93 of the processor time without, others 0.98 to 1.02.
    graphOptimizationLevel: 'extended',
    // With a pattern the second run takes one block for all values on top of what the first took piece by piece, and
    // both stay: a GPT of 12 layers peaks at 1.6 GB with it and 0.9 GB without, as fast.
    enableMemPattern: false,
    extra: { session: { intra_op: { allow_spinning: '1', spin_duration_us: `${spinUs}` } } },
  }
  const runtime = await loadNativeRuntime()
  block ??= channelBlockOf(runtime)
  return ortBackend(runtime, {
    name: 'native',
    channelBlock: await block,
    threads: () => threads,
    // there are kernels for a few operators, and no faster ones
    halfKernels: async () => 'emulated',
    sessionOptions: options,
    inspectionOptions: options,
    outputs: 'filled',
  })
}

/** Of this process's processor; asked once. */
let block: Promise<number | undefined> | undefined

/** Channels are filled up to a whole block on their way into blocks. Undefined where the processor has none. */
async function channelBlockOf({ InferenceSession, Tensor }: OrtRuntime): Promise<number | undefined> {
  const channels = 4 // the fewest that onnxruntime brings into blocks
  try {
    const session = await InferenceSession.create(reorderingModel(channels), { logSeverityLevel: 4 })
    try {
      const image = new Tensor('float32', new Float32Array(channels), [1, channels, 1, 1])
      const { y } = await session.run({ x: image })
      const filled = y!.dims[1]!
      return filled > channels ? filled : undefined
    } finally {
      await session.release()
    }
  } catch {
    return undefined // a build or a processor that does not know the layout: convolutions then run without it
  }
}

/**
 * The addon, whose WebGPU provider is a runtime for `openWebGpuBackend`.
 * @throws {SwarmError} BACKEND_FAILED when it cannot be loaded on this machine.
 */
export async function loadNativeRuntime(): Promise<OrtRuntime> {
  try {
    return await import('onnxruntime-node')
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new SwarmError('BACKEND_FAILED', `native backend cannot be loaded: ${reason}`, {
      hint: 'Use --backend wasm, or install onnxruntime-node for this platform.',
      cause,
    })
  }
}
