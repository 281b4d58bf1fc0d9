/**
 * A subject of the step benchmark: Starling's engine on one backend, and onnxruntime itself beside it, in one process.
 * `how` names the backend. Separate processes, because a WebAssembly module keeps the number of threads that it was
 * loaded with.
 */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-common'
import type { Backend } from '../../engine/backends/backend.ts'
import { loadNativeRuntime, openNativeBackend } from '../../engine/backends/native.ts'
import type { OrtRuntime } from '../../engine/backends/runtime.ts'
import { openWasmBackend } from '../../engine/backends/wasm.ts'
import { openWebGpuBackend } from '../../engine/backends/webgpu.ts'
import { type CompileOptions, compileProgram } from '../../engine/program/compile-program.ts'
import { stepBytes } from '../../engine/program/memory.ts'
import type { Recomputation } from '../../engine/program/recomputation.ts'
import type { Precision } from '../../engine/program/training-program.ts'
import { randomBatch } from '../../engine/training/random-batch.ts'
import { Trainer } from '../../engine/training/trainer.ts'
import { seededRandom } from '../../protocols/core/random.ts'
import type { Tensor } from '../../protocols/core/tensor.ts'
import { answer } from '../child.ts'
import type { Opened, SubjectCalls, Work } from './calls.ts'
import { type Case, cases, specOf } from './cases.ts'
import { matmulModel } from './models.ts'
import { peakMemoryMb, playTurn, settlingSteps } from './subject.ts'

interface Setting {
  runtime: OrtRuntime
  backend: Backend
  sessionOptions: InferenceSession.SessionOptions
}

let works: Partial<Record<Work, () => Promise<unknown>>> = {}

answer<SubjectCalls>({
  open: async ({ model, threads, how, recomputation, precision }) => {
    const setting = await open(how, threads)
    if (precision === 'float16' && (await setting.backend.halfKernels()) !== 'computed') {
      return { absent: 'the device does not compute in float16', works: [] }
    }
    const opened = await prepare(setting, cases[model], { recomputation, precision })
    return { ...opened, works: Object.keys(works) as Work[] }
  },
  run: (turn) => playTurn(turn, works[turn.work]!),
})

async function open(how: string, threads: number): Promise<Setting> {
  const sessionOptions = { intraOpNumThreads: threads, logSeverityLevel: 4 } as const
  if (how === 'wasm') {
    const runtime: OrtRuntime = await import('onnxruntime-web')
    const backend = openWasmBackend(runtime, { threads })
    return { runtime, backend, sessionOptions: { ...sessionOptions, executionProviders: ['wasm'] } }
  }
  const runtime = await loadNativeRuntime()
  if (how === 'native') {
    const backend = await openNativeBackend({ threads })
    return { runtime, backend, sessionOptions: { ...sessionOptions, executionProviders: ['cpu'] } }
  }
  const executionProviders = [{ name: 'webgpu', preferredLayout: 'NCHW' }] as const
  const backend = await openWebGpuBackend(runtime, { threads })
  return { runtime, backend, sessionOptions: { ...sessionOptions, executionProviders } }
}

async function prepare(
  setting: Setting,
  model: Case,
  { recomputation, precision }: { recomputation: Recomputation; precision: Precision },
): Promise<Omit<Opened, 'works'>> {
  const bytes = model.onnx()
  const compile = (options: CompileOptions) =>
    compileProgram(bytes, { ...specOf(model), precision }, setting.backend, options)
  const startedAt = performance.now()
  let program = await compile({})
  const buildMs = performance.now() - startedAt
  if (recomputation !== 'nothing') {
    program = await compile({ memoryBytesMax: stepBytes(program.memoryWith(recomputation)) })
  }
  const batch = randomBatch(program, seededRandom(1))
  const trainer = new Trainer(program, setting.backend)
  const step = () => trainer.steps([batch], [1e-4])
  for (let index = 0; index < settlingSteps; index++) await step()
  const memoryMb = peakMemoryMb()
  const one = { dtype: 'float32', shape: [1], data: Float32Array.of(1) } as const
  works = {
    step,
    forward: await session(setting, bytes, batch.inputs[program.inputs[0]!.name]!),
    matmul: await session(setting, matmulModel(), one),
  }
  return { buildMs, operations: program.stepOperations, memoryMb }
}

/** A model file by onnxruntime with its own defaults, nothing of ours in between. Every input gets `tensor`. */
async function session({ runtime, sessionOptions }: Setting, model: Uint8Array, tensor: Tensor) {
  const loaded = await runtime.InferenceSession.create(model, sessionOptions)
  const feeds: Record<string, OrtTensor> = {}
  for (const input of loaded.inputMetadata) feeds[input.name] = asModelTakes(runtime, input, tensor)
  return () => loaded.run(feeds)
}

/** Training graphs take token ids as int32; the model file asks for int64. */
function asModelTakes(runtime: OrtRuntime, value: InferenceSession.ValueMetadata, tensor: Tensor): OrtTensor {
  if (value.isTensor && value.type === 'int64') {
    return new runtime.Tensor('int64', BigInt64Array.from(tensor.data as Int32Array, BigInt), tensor.shape)
  }
  return tensor.dtype === 'float32'
    ? new runtime.Tensor('float32', tensor.data as Float32Array, tensor.shape)
    : new runtime.Tensor('int32', tensor.data as Int32Array, tensor.shape)
}
