/**
 * The worker thread of a Node peer: serves the engine on its parent's port. Started by `compute.ts`, never by hand.
 *
 * `auto` times the native build against WebGPU, where there is a driver; WebAssembly, the slowest of the three on a
 * CPU, stands in where the native addon does not load.
 */
import { parentPort } from 'node:worker_threads'
import * as onnxruntimeWeb from 'onnxruntime-web'
import type { Candidate } from '../../engine/backends/choose.ts'
import { loadNativeRuntime, openNativeBackend } from '../../engine/backends/native.ts'
import { openWasmBackend } from '../../engine/backends/wasm.ts'
import { openWebGpuBackend } from '../../engine/backends/webgpu.ts'
import type { OpenOptions } from '../../engine/compute/compute.ts'
import type { Request, ServerPort } from '../../engine/compute/messages.ts'
import { serveCompute } from '../../engine/compute/serve.ts'
import { assert, unreachable } from '../../protocols/core/assert.ts'
import { hasGraphicsDriver } from './graphics-driver.ts'

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

serveCompute(port, candidates)

function candidates({ backend, threads }: OpenOptions): readonly Candidate[] {
  const native: Candidate = { name: 'native', open: () => openNativeBackend({ threads }) }
  const webgpu: Candidate = {
    name: 'webgpu',
    open: async () => openWebGpuBackend(await loadNativeRuntime(), { threads }),
  }
  const wasm: Candidate = { name: 'wasm', open: async () => openWasmBackend(onnxruntimeWeb, { threads }) }
  switch (backend) {
    case 'native':
      return [native]
    case 'webgpu':
      return [webgpu]
    case 'wasm':
      return [wasm]
    case 'auto':
      return [native, ...(hasGraphicsDriver() ? [webgpu] : []), { ...wasm, isLastResort: true }]
    default:
      return unreachable(backend)
  }
}
