/**
 * The compute worker of a tab: serves the engine (engine/compute) to its page, over the build of onnxruntime-web that
 * the page has chosen, no faster than the donor allows. Started by `compute.ts`, never by hand.
 */

import type { Candidate } from '../../engine/backends/choose.ts'
import { identityModel } from '../../engine/backends/identity-model.ts'
import { openWasmBackend } from '../../engine/backends/wasm.ts'
import { openWebGpuBackend } from '../../engine/backends/webgpu.ts'
import type { OpenOptions } from '../../engine/compute/compute.ts'
import type { Answer, ServerPort } from '../../engine/compute/messages.ts'
import { serveCompute } from '../../engine/compute/serve.ts'
import type { RuntimeName } from '../program.ts'
import type { WorkerRequest } from './messages.ts'
import { Pacer, pacedBackend } from './paced-backend.ts'
import { watchingRuns } from './stuck-runs.ts'

/** Each is a chunk of its own, and one of them is loaded. */
const runtimes = {
  wasm: () => import('onnxruntime-web/wasm'),
  webgpu: () => import('onnxruntime-web/webgpu'),
  jspi: () => import('onnxruntime-web/jspi'),
} satisfies { [Name in RuntimeName]: () => Promise<unknown> }

type Begin = Extract<WorkerRequest, { kind: 'begin' }>

const { promise: begun, resolve: begin } = Promise.withResolvers<Begin>()

const pacer = begun.then(
  ({ allowance }) =>
    new Pacer(allowance, {
      now: () => performance.now(),
      rest: (delayMs) => new Promise((resolve) => setTimeout(resolve, delayMs)),
    }),
)

/**
 * onnxruntime with its WebAssembly compiled, which takes longest of all: it begins before there is a model. A realm has
 * one number of threads, fixed by the first model; the smallest fixes it here.
 */
const runtime = begun.then(async ({ runtime, threads }) => {
  const ort = await runtimes[runtime.name]()
  ort.env.wasm.wasmPaths = { mjs: runtime.glue, wasm: runtime.wasm }
  const first = await openWasmBackend(ort, { threads }).compile(identityModel)
  await first.release()
  return ort
})
runtime.catch(() => {}) // told to whoever opens a model

/** A message to itself is delivered after those that wait; a timer of 0 ms would cost 4. */
const { port1: inlet, port2: outlet } = new MessageChannel()
const turns: (() => void)[] = []
outlet.onmessage = () => turns.shift()?.()

const port: ServerPort = {
  post: (answer: Answer, transfer) => {
    if (answer.kind !== 'step') void pacer.then((pacer) => pacer.end())
    postMessage(answer, { transfer })
  },
  onRequest: (handler) =>
    addEventListener('message', ({ data }: MessageEvent<WorkerRequest>) => {
      if (data.kind === 'begin') begin(data)
      else if (data.kind === 'allow') void pacer.then((pacer) => pacer.allow(data.allowance))
      else {
        if (data.kind === 'train' || data.kind === 'evaluate') void pacer.then((pacer) => pacer.begin())
        handler(data)
      }
    }),
  turn: () =>
    new Promise((resolve) => {
      turns.push(resolve)
      inlet.postMessage(undefined)
    }),
  // The page ends the thread, and waits for this before it does.
  close: () => postMessage('closed'),
}

serveCompute(port, candidates)

/** Nothing here can end a run that is stuck: the page hears of this error, and starts another worker. */
function onStuck(): never {
  throw new Error('the graphics device was lost in the middle of a step')
}

/**
 * WebAssembly first: it opens at once, and decides alone for a model so small that no graphics processor catches up.
 */
async function candidates({ backend }: OpenOptions): Promise<readonly Candidate[]> {
  const { runtime: build, threads } = await begun
  const ort = await runtime
  const wasm: Candidate = {
    name: 'wasm',
    open: async () => pacedBackend(openWasmBackend(ort, { threads }), await pacer),
  }
  const webgpu: Candidate = {
    name: 'webgpu',
    open: async () => {
      const backend = await openWebGpuBackend(ort, { threads })
      const device = (): Promise<GPUDevice> => ort.env.webgpu.device
      return pacedBackend(watchingRuns(backend, { device, onStuck }), await pacer)
    },
  }
  if (backend === 'wasm' || build.name === 'wasm') return [wasm]
  return backend === 'webgpu' ? [webgpu] : [wasm, webgpu]
}
