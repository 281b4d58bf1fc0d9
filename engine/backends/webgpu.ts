/**
 * onnxruntime's native WebGPU provider as a backend: in a browser the build `onnxruntime-web/webgpu` (or `/jspi`,
 * smaller and quicker to start, where WebAssembly can be suspended), in Node the one inside onnxruntime-node. The
 * module is an argument.
 *
 * Parameters and slots stay in device memory; a step copies back nothing but the loss. Every node runs on the device or
 * the graph is refused: a node on the CPU in the middle of a step costs two transfers, and what it would win is
 * measured by choosing another backend.
 *
 * Not the default import `onnxruntime-web`: its WebGPU is an older provider that trains wrongly without an error
 * (1.30).
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import type { Backend, HalfKernels } from './backend.ts'
import { computesHalf } from './half-trial.ts'
import { identityModel } from './identity-model.ts'
import type { OrtRuntime } from './runtime.ts'
import { ortBackend } from './session.ts'
import { wasmThreads } from './wasm.ts'

/**
 * A backend over `runtime`, tried once. `threads` of the WebAssembly module that drives the device, 1 or more; fixed by
 * the first model that a JavaScript realm loads, as for the wasm backend over the same module.
 * @throws {SwarmError} BACKEND_FAILED where there is no adapter.
 */
export async function openWebGpuBackend(
  runtime: OrtRuntime,
  { threads }: { threads: number },
): Promise<Backend> {
  runtime.env.wasm.numThreads = threads
  let halfKernels: Promise<HalfKernels | null> | undefined
  const backend: Backend = ortBackend(runtime, {
    name: 'webgpu',
    threads: () => wasmThreads(runtime),
    halfKernels: () => (halfKernels ??= computesHalf(backend).then((isSo) => (isSo ? 'computed' : null))),
    sessionOptions: { executionProviders, extra: onDevice },
    // The optimiser moves transposes behind comparisons, and there is no kernel that transposes truth values.
    plainOptions: {
      executionProviders,
      extra: { ...onDevice, optimization: { disable_specified_optimizers: 'TransposeOptimizer' } },
    },
    inspectionOptions: { executionProviders: ['cpu'] },
    outputs: 'device',
  })
  await tryOut(backend)
  return backend
}

/**
 * NHWC, the default, gives wrong convolutions for some channel counts, without an error (onnxruntime 1.30: 6, 9, 18, ...
 * input channels; the weight gradient has the batch there).
 */
const executionProviders = [{ name: 'webgpu', preferredLayout: 'NCHW' }] as const

/** Refuses graphs with a node that would run on the CPU. */
const onDevice = { session: { disable_cpu_ep_fallback: '1' } }

/** An adapter that is promised and then missing shows with the first session only. */
async function tryOut(backend: Backend): Promise<void> {
  try {
    const executable = await backend.compile(identityModel)
    await executable.release()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new SwarmError('BACKEND_FAILED', `webgpu backend cannot be opened: ${reason}`, {
      hint: 'Use the wasm backend; WebGPU needs a graphics driver and a browser that lets pages use it.',
      cause,
    })
  }
}
