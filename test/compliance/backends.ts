/** The backends that the compliance suites run over, with what may differ between them, as data. */
import * as onnxruntimeWeb from 'onnxruntime-web'
import type { Backend, Executable } from '../../engine/backends/backend.ts'
import { loadNativeRuntime, openNativeBackend } from '../../engine/backends/native.ts'
import { openWasmBackend } from '../../engine/backends/wasm.ts'
import { openWebGpuBackend } from '../../engine/backends/webgpu.ts'
import { requireSoftwareGpu } from '../software-gpu.ts'
import type { ChromiumBackends, Realm } from './chromium/browser.ts'
import { model } from './graphs.ts'

export interface BackendRow {
  title: string
  open(): Promise<Backend>
  /** Errors of onnxruntime-web say which node failed in one of its builds only. */
  namesFailingNode: boolean
  /** In a browser, asked over a wire: what only shows in the caller's own thread is not looked at. */
  isRemote: boolean
}

const negation = model({
  inputs: { x: { dtype: 'float32', shape: [1] } },
  outputs: ['y'],
  nodes: [{ op: 'Neg', inputs: ['x'], outputs: ['y'] }],
})

/**
 * Sessions that are never closed: onnxruntime's device, and each shader that it compiled, which is most of what these
 * suites wait for, live as long as any session on WebGPU does. They are held here because one that nothing holds is
 * closed by the garbage collector. A trainer has no need of that: it holds the session of its steps.
 */
const keptOpen: Executable[] = []

async function openWebGpu(): Promise<Backend> {
  requireSoftwareGpu()
  const backend = await openWebGpuBackend(await loadNativeRuntime(), { threads: 1 })
  if (keptOpen.length === 0) keptOpen.push(await backend.compile(negation))
  return backend
}

/** Those of Node, in this process. */
export const backends: readonly BackendRow[] = [
  {
    title: 'native',
    open: () => openNativeBackend({ threads: 1 }),
    namesFailingNode: true,
    isRemote: false,
  },
  {
    title: 'wasm',
    open: async () => openWasmBackend(onnxruntimeWeb, { threads: 1 }),
    namesFailingNode: false,
    isRemote: false,
  },
  { title: 'webgpu', open: openWebGpu, namesFailingNode: true, isRemote: false },
]

/** The backend of Node that is called `title`. */
export async function openBackend(title: string): Promise<Backend> {
  const row = backends.find((one) => one.title === title)
  if (row === undefined) throw new Error(`no backend '${title}'`)
  return row.open()
}

/** Those of a browser: WebAssembly, and WebGPU over both builds that a tab chooses from. */
export function chromiumRows(chromium: ChromiumBackends): readonly BackendRow[] {
  const row = (title: string, realm: Realm): BackendRow => ({
    title,
    open: () => chromium.open(realm),
    namesFailingNode: realm.build === 'jspi',
    isRemote: true,
  })
  return [
    row('wasm in Chromium', { build: 'webgpu', backend: 'wasm', threads: 1 }),
    row('webgpu in Chromium', { build: 'webgpu', backend: 'webgpu', threads: 1 }),
    row('webgpu in Chromium, suspending', { build: 'jspi', backend: 'webgpu', threads: 1 }),
  ]
}
