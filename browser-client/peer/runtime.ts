/** Which build of onnxruntime-web a tab loads, and its way into the browser's cache. */

import type { Program, RuntimeName } from '../program.ts'
import { downloadFiles } from '../program.ts'
import type { Runtime } from '../worker/messages.ts'

/** Where the build's files are, relative to the page. */
const absolute = (path: string): string => new URL(path, document.baseURI).href

/**
 * `wasm` unless the donor allows the graphics card and this browser has an adapter for it; then `jspi`, the smaller
 * one, where WebAssembly can be suspended.
 */
export async function chooseRuntime(mayUseGpu: boolean): Promise<RuntimeName> {
  if (!mayUseGpu || !('gpu' in navigator)) return 'wasm'
  const adapter = await navigator.gpu.requestAdapter().catch(() => null)
  if (adapter === null) return 'wasm'
  return 'Suspending' in WebAssembly ? 'jspi' : 'webgpu'
}

/** Where the build `name` is. */
export function runtimeOf({ runtimes }: Program, name: RuntimeName): Runtime {
  const { glue, wasm } = runtimes[name]
  return { name, glue: absolute(glue.path), wasm: absolute(wasm.path) }
}

/**
 * Brings the build `name` into the browser's cache.
 * @throws {SwarmError} DOWNLOAD_FAILED.
 */
export async function loadRuntime(
  program: Program,
  name: RuntimeName,
  { signal, onProgress }: { signal: AbortSignal; onProgress(bytes: number, bytesTotal: number): void },
): Promise<Runtime> {
  const { glue, wasm } = program.runtimes[name]
  const bytesTotal = glue.bytes + wasm.bytes
  await downloadFiles([glue, wasm], { signal, onProgress: (bytes) => onProgress(bytes, bytesTotal) })
  return runtimeOf(program, name)
}
