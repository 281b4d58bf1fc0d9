/** The backends in a worker of a page, at the service of `browser.ts`. */
import type { Backend, CarriedState, Executable } from '../../../engine/backends/backend.ts'
import type { OrtRuntime } from '../../../engine/backends/runtime.ts'
import { openWasmBackend } from '../../../engine/backends/wasm.ts'
import { openWebGpuBackend } from '../../../engine/backends/webgpu.ts'
import { failureOf } from '../../../engine/compute/messages.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'
import type { BuildName, Call, Reply, ResultOf } from './calls.ts'
import { pack, unpack } from './pack.ts'

const builds = {
  webgpu: () => import('onnxruntime-web/webgpu'),
  jspi: () => import('onnxruntime-web/jspi'),
} satisfies { [Name in BuildName]: () => Promise<OrtRuntime> }

let runtime: OrtRuntime | undefined
const backends = new Map<number, Backend>()
const states = new Map<number, CarriedState>()
const executables = new Map<number, Executable>()

addEventListener('message', async ({ data }: MessageEvent<string>) => {
  postMessage(pack(await reply(unpack<Call>(data))))
})

async function reply(call: Call): Promise<Reply> {
  try {
    return { result: await answer(call) }
  } catch (error) {
    if (error instanceof SwarmError) return { failure: failureOf(error) }
    return { bug: error instanceof Error ? `${error.stack}` : String(error) }
  }
}

async function answer(call: Call): Promise<ResultOf[Call['kind']]> {
  switch (call.kind) {
    case 'open':
      backends.set(call.id, await open(call))
      return null
    case 'state':
      states.set(call.id, backends.get(call.backend)!.newState())
      return null
    case 'compile': {
      const state = states.get(call.state)!
      const { model, carry, unlessNotFinite } = call
      const executable = await backends.get(call.backend)!.compile(model, { carry, state, unlessNotFinite })
      executables.set(call.id, executable)
      return new Map(executable.inputs)
    }
    case 'run':
      return executables.get(call.executable)!.run(call.feeds)
    case 'write':
      await states.get(call.state)!.write(call.name, call.tensor)
      return null
    case 'read': {
      const into = new Float32Array(call.length)
      await states.get(call.state)!.read(call.name, into)
      return into
    }
    case 'release':
      await (executables.get(call.id) ?? states.get(call.id)!).release()
      return null
    case 'halfKernels':
      return backends.get(call.backend)!.halfKernels()
    case 'inferTypes':
      return backends.get(call.backend)!.inferTypes(call.model)
    case 'evaluateConstants':
      return backends.get(call.backend)!.evaluateConstants(call.model)
    case 'destroyDevice': {
      const device = await (runtime!.env.webgpu.device as Promise<GPUDevice>)
      device.destroy()
      await device.lost
      return null
    }
  }
}

async function open({ build, backend, threads }: Extract<Call, { kind: 'open' }>): Promise<Backend> {
  runtime = await builds[build]()
  runtime.env.wasm.wasmPaths = '/onnxruntime/'
  return backend === 'wasm' ? openWasmBackend(runtime, { threads }) : openWebGpuBackend(runtime, { threads })
}
