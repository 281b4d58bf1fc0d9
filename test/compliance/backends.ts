/** The backends that the compliance suites run over, with what may differ between them, as data. */
import * as onnxruntimeWeb from 'onnxruntime-web'
import type { Backend } from '../../engine/backends/backend.ts'
import { loadNativeRuntime, openNativeBackend } from '../../engine/backends/native.ts'
import { openWasmBackend } from '../../engine/backends/wasm.ts'
import { openWebGpuBackend } from '../../engine/backends/webgpu.ts'
import { requireSoftwareGpu } from '../software-gpu.ts'

export interface BackendRow {
  title: string
  open(): Promise<Backend>
  /** onnxruntime-web's errors do not say which node failed. */
  namesFailingNode: boolean
}

async function openWebGpu(): Promise<Backend> {
  requireSoftwareGpu()
  return openWebGpuBackend(await loadNativeRuntime(), { threads: 1 })
}

export const backends: readonly BackendRow[] = [
  {
    title: 'native',
    open: () => openNativeBackend({ threads: 1 }),
    namesFailingNode: true,
  },
  {
    title: 'wasm',
    open: async () => openWasmBackend(onnxruntimeWeb, { threads: 1 }),
    namesFailingNode: false,
  },
  { title: 'webgpu', open: openWebGpu, namesFailingNode: true },
]
