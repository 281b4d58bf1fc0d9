/**
 * An onnxruntime build as backends use it: its API, which all npm packages share, what it does otherwise than the
 * others, and the lock around it.
 *
 * All calls into one build wait for each other, also from different backends: overlapping runs, and a session that is
 * made while another runs, hang onnxruntime's WebGPU provider for good. Failures leave it as coded errors.
 */
import type { Env, InferenceSession, TensorConstructor } from 'onnxruntime-common'
import type { BackendName, HalfKernels } from './backend.ts'
import { backendFailure } from './failure.ts'
import { Mutex } from './mutex.ts'

export type SessionOptions = InferenceSession.SessionOptions

/** The part of an onnxruntime module that backends use. All npm packages have it. */
export interface OrtRuntime {
  readonly InferenceSession: {
    create(model: Uint8Array, options?: SessionOptions): Promise<InferenceSession>
  }
  readonly Tensor: TensorConstructor
  readonly env: Env
}

export interface OrtTraits {
  readonly name: BackendName
  /** As `Backend`'s. */
  readonly channelBlock?: number | undefined
  /** As `Backend.threads`. */
  threads(): number
  /** As `Backend.halfKernels`. */
  halfKernels(): Promise<HalfKernels | null>
  /** Of sessions that compute. */
  readonly sessionOptions: SessionOptions
  /**
   * Of sessions for graphs that come out of the runtime's own rewriting with a node that has no kernel: with less of it.
   */
  readonly plainOptions?: SessionOptions
  /** Of sessions that only look at graphs: shapes and constants have dtypes that no device computes with. */
  readonly inspectionOptions: SessionOptions
  /**
   * What becomes of an output: `filled`, written into the tensor that `run` is given; `returned`, a new array of main
   * memory (onnxruntime-web 1.30 leaves given tensors untouched, without an error); `device`, as `returned`, and
   * carried ones stay on the device.
   */
  readonly outputs: 'filled' | 'returned' | 'device'
}

/** One lock for all backends over one build. */
const locks = new WeakMap<OrtRuntime, Mutex>()

/** One build, for one backend. */
export class Build {
  readonly runtime: OrtRuntime
  readonly traits: OrtTraits
  readonly #lock: Mutex

  constructor(runtime: OrtRuntime, traits: OrtTraits) {
    this.runtime = runtime
    this.traits = traits
    this.#lock = locks.get(runtime) ?? new Mutex()
    locks.set(runtime, this.#lock)
  }

  /** Calls `task` while nothing else uses the build. */
  exclusively<Result>(task: () => Promise<Result>): Promise<Result> {
    return this.#lock.run(task)
  }

  call<Result>(doing: string, task: () => Promise<Result>): Promise<Result> {
    return this.exclusively(() => this.attempt(doing, task))
  }

  async attempt<Result>(doing: string, task: () => Promise<Result>): Promise<Result> {
    try {
      return await task()
    } catch (error) {
      throw backendFailure(this.traits.name, doing, error)
    }
  }

  /** A new session. The caller holds the lock. */
  create(model: Uint8Array, options: SessionOptions): Promise<InferenceSession> {
    return this.runtime.InferenceSession.create(model, { ...options, logSeverityLevel: 4 })
  }

  inspect(model: Uint8Array): Promise<InferenceSession> {
    // 'basic' folds shape arithmetic, without which PyTorch's Reshape targets stay unknown; higher levels fuse
    // nodes away whose types are asked for.
    const options = { ...this.traits.inspectionOptions, graphOptimizationLevel: 'basic' } as const
    return this.call('loading the model', () => this.create(model, options))
  }

  /** Releases `session`. What fails then (a device that is lost already) can hurt nobody. */
  close(session: InferenceSession): Promise<void> {
    return this.exclusively(() => session.release().catch(() => undefined))
  }
}
