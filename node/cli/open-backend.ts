/** The backend of a command that runs a model in this process, for seconds; peers compute in a worker. */
import type { Backend, BackendName } from '../../engine/backends/backend.ts'
import { SwarmError } from '../../protocols/core/errors.ts'

/**
 * Opens backend `name` with one thread; by default the native one, or WebAssembly on a machine that it has no binary
 * for.
 * @throws {SwarmError} BACKEND_FAILED when the backend that was named cannot be opened here.
 */
export async function openBackend(name?: BackendName): Promise<Backend> {
  const { loadNativeRuntime, openNativeBackend } = await import('../../engine/backends/native.ts')
  if (name === 'wasm') return openWasm()
  if (name === 'native') return openNativeBackend({ threads: 1 })
  if (name === 'webgpu') {
    const { openWebGpuBackend } = await import('../../engine/backends/webgpu.ts')
    return openWebGpuBackend(await loadNativeRuntime(), { threads: 1 })
  }
  try {
    return await openNativeBackend({ threads: 1 })
  } catch (error) {
    if (!(error instanceof SwarmError)) throw error
    return openWasm()
  }
}

async function openWasm(): Promise<Backend> {
  const { openWasmBackend } = await import('../../engine/backends/wasm.ts')
  return openWasmBackend(await import('onnxruntime-web'), { threads: 1 })
}
