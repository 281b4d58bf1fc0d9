/**
 * The worker thread of a Node peer: serves the engine on its parent's port. Started by `compute.ts`, never by hand.
 *
 * `auto` is the native build, and WebAssembly where the native addon does not load.
 */
import { parentPort } from 'node:worker_threads'
import * as onnxruntimeWeb from 'onnxruntime-web'
import { loadNativeRuntime, openNativeBackend } from '../engine/backends/native.ts'
import { openWasmBackend } from '../engine/backends/wasm.ts'
import { openWebGpuBackend } from '../engine/backends/webgpu.ts'
import type { OpenOptions } from '../engine/compute/compute.ts'
import type { Request, ServerPort } from '../engine/compute/messages.ts'
import { type BackendFactory, serveCompute } from '../engine/compute/serve.ts'
import { assert } from '../protocols/core/assert.ts'
import { SwarmError } from '../protocols/core/errors.ts'

const parent = parentPort
assert(parent !== null, 'compute-worker runs as a worker thread')

const port: ServerPort = {
  post: (answer, transfer) => parent.postMessage(answer, transfer),
  onRequest: (handler) => parent.on('message', (request: Request) => handler(request)),
  // Messages are delivered between two rounds of the event loop; an immediate runs after that.
  turn: () => new Promise((resolve) => setImmediate(resolve)),
  // Ends this thread, not the process. Idle threads of WebAssembly would keep it alive; what was posted still arrives.
  close: () => process.exit(),
}

serveCompute(port, openBackend)

async function openBackend({ backend, threads }: OpenOptions): ReturnType<BackendFactory> {
  if (backend === 'webgpu')
    return { backend: await openWebGpuBackend(await loadNativeRuntime(), { threads }) }
  if (backend === 'wasm') return { backend: openWasmBackend(onnxruntimeWeb, { threads }) }
  try {
    return { backend: await openNativeBackend({ threads }) }
  } catch (error) {
    if (backend === 'native' || !(error instanceof SwarmError)) throw error
    return { backend: openWasmBackend(onnxruntimeWeb, { threads }), note: `${error.message}; using wasm` }
  }
}
