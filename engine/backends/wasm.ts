/**
 * onnxruntime's WebAssembly build as a backend: runs everywhere, and gives the same bits in every process and browser
 * (measured with 1.30 in Node and Chromium), which makes training checkable by repetition.
 *
 * The module is an argument, because the build differs by platform: in a browser `onnxruntime-web/wasm`, or the build
 * that the WebGPU backend uses, which has the same kernels; in Node `onnxruntime-web`, which resolves to the
 * file-system build.
 */
import type { Backend } from './backend.ts'
import type { OrtRuntime } from './runtime.ts'
import { ortBackend } from './session.ts'

/**
 * A backend over `runtime` with `threads` threads, 1 or more. A browser page that is not cross-origin isolated gets
 * one, whatever is asked. The number is fixed by the first model that a JavaScript realm loads; later ones keep it.
 */
export function openWasmBackend(runtime: OrtRuntime, { threads }: { threads: number }): Backend {
  runtime.env.wasm.numThreads = threads
  const options = { executionProviders: ['wasm'] } as const
  return ortBackend(runtime, {
    name: 'wasm',
    threads: () => wasmThreads(runtime),
    // there are kernels for a few operators, and no faster ones
    halfKernels: async () => 'emulated',
    sessionOptions: options,
    inspectionOptions: options,
    outputs: 'returned',
  })
}

/**
 * Threads that the WebAssembly module of `runtime` has: it changes the number itself where the platform gives only one.
 */
export function wasmThreads(runtime: OrtRuntime): number {
  return runtime.env.wasm.numThreads ?? 1
}
