/** What Node asks of the worker in the page. Objects have numbers that Node gives them. */
import type {
  BackendName,
  CompileOptions,
  ConstantValue,
  HalfKernels,
  InferredType,
} from '../../../engine/backends/backend.ts'
import type { Failure } from '../../../engine/compute/messages.ts'
import type { Tensor } from '../../../protocols/core/tensor.ts'

/** Builds of onnxruntime-web: WebGPU with calls that are rewritten to be interruptible, or suspended by the engine. */
export type BuildName = 'webgpu' | 'jspi'

export type Call =
  | { kind: 'open'; build: BuildName; backend: BackendName; threads: number; id: number }
  | { kind: 'state'; backend: number; id: number }
  | {
      kind: 'compile'
      backend: number
      model: Uint8Array
      carry: CompileOptions['carry']
      unlessNotFinite: string | undefined
      state: number
      id: number
    }
  | { kind: 'run'; executable: number; feeds: Record<string, Tensor> }
  | { kind: 'write'; state: number; name: string; tensor: Tensor }
  | { kind: 'read'; state: number; name: string; length: number }
  | { kind: 'release'; id: number }
  | { kind: 'halfKernels'; backend: number }
  | { kind: 'inferTypes'; backend: number; model: Uint8Array }
  | { kind: 'evaluateConstants'; backend: number; model: Uint8Array }
  | { kind: 'destroyDevice' }

export interface ResultOf {
  open: null
  state: null
  compile: Map<string, InferredType>
  run: Record<string, Tensor>
  write: null
  read: Float32Array
  release: null
  halfKernels: HalfKernels | null
  inferTypes: Map<string, InferredType>
  evaluateConstants: Map<string, ConstantValue>
  destroyDevice: null
}

/** A failure that is no `SwarmError` is a bug: `bug` is its text. */
export type Reply = { result: ResultOf[Call['kind']] } | { failure: Failure } | { bug: string }
