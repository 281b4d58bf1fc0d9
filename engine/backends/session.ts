/**
 * A `Backend` over any onnxruntime build. Builds share one API (onnxruntime-common) and differ in what
 * {@link OrtTraits} says; `wasm.ts`, `native.ts` and `webgpu.ts` fill it in. The build and its lock are runtime.ts's,
 * what outlives a run is state.ts's.
 */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-common'
import { assert } from '../../protocols/core/assert.ts'
import { hasCode } from '../../protocols/core/errors.ts'
import type { Tensor } from '../../protocols/core/tensor.ts'
import type {
  Backend,
  CompileOptions,
  ConstantValue,
  Executable,
  InferredType,
  RunOptions,
} from './backend.ts'
import { toOrt } from './carried.ts'
import { Build, type OrtRuntime, type OrtTraits, type SessionOptions } from './runtime.ts'
import { OrtState } from './state.ts'

/** A backend over `runtime`. Opens nothing until the first model. */
export function ortBackend(runtime: OrtRuntime, traits: OrtTraits): Backend {
  runtime.env.logLevel = 'fatal' // and of each session below: failures arrive as exceptions, the log would repeat them
  const build = new Build(runtime, traits)
  return {
    name: traits.name,
    channelBlock: traits.channelBlock,
    get threads() {
      return traits.threads()
    },
    halfKernels: () => traits.halfKernels(),
    compile: async (model, { carry = {}, state, unlessNotFinite } = {}) => {
      const outputs = traits.outputs === 'device' ? stayingOnDevice(carry) : {}
      const bytes = model.slice()
      const { open, session } = await firstOf(
        build,
        [traits.sessionOptions, ...(traits.plainOptions ? [traits.plainOptions] : [])].map(
          (options) => () => build.create(bytes, { ...options, ...outputs }),
        ),
      )
      return new OrtExecutable(build, open, session, { carry, state, unlessNotFinite })
    },
    newState: () => new OrtState(build),
    inferTypes: async (model) => {
      const session = await build.inspect(model)
      const types = typesOf(session.outputMetadata)
      await build.close(session)
      return types
    },
    evaluateConstants: async (model) => {
      const session = await build.inspect(model)
      try {
        const outputs = await build.call('folding constants', () => session.run({}))
        return new Map(Object.entries(outputs).map(([name, value]) => [name, constantValue(value)]))
      } finally {
        await build.close(session)
      }
    },
  }
}

type Open = () => Promise<InferenceSession>

/** The first of `ways` to open a session in which every node has a kernel. */
async function firstOf(
  build: Build,
  [open, ...others]: readonly Open[],
): Promise<{ open: Open; session: InferenceSession }> {
  try {
    return { open: open!, session: await build.call('loading the model', open!) }
  } catch (error) {
    const hasNoKernel = hasCode(error, 'MODEL_UNSUPPORTED')
    if (!hasNoKernel || others.length === 0) throw error
    return firstOf(build, others)
  }
}

class OrtExecutable implements Executable {
  readonly inputs: ReadonlyMap<string, InferredType>
  readonly state: OrtState
  readonly #ownsState: boolean
  readonly #build: Build
  readonly #open: Open
  /** Null after a failure that it did not survive. */
  #session: InferenceSession | null
  readonly #carry: NonNullable<CompileOptions['carry']>
  readonly #unlessNotFinite: string | undefined
  readonly #outputs: ReadonlyMap<string, InferredType>
  #isReleased = false

  constructor(
    build: Build,
    open: Open,
    session: InferenceSession,
    { carry = {}, state, unlessNotFinite }: CompileOptions,
  ) {
    assert(state === undefined || state instanceof OrtState, 'a state of another kind of backend')
    this.#build = build
    this.#open = open
    this.#session = session
    this.#carry = carry
    this.#unlessNotFinite = unlessNotFinite
    this.#ownsState = state === undefined
    this.state = state ?? new OrtState(build)
    this.inputs = typesOf(session.inputMetadata)
    this.#outputs = typesOf(session.outputMetadata)
  }

  run(
    fed: Readonly<Record<string, Tensor>>,
    { into = {}, signal }: RunOptions = {},
  ): Promise<Record<string, Tensor>> {
    return this.#build.exclusively(async () => {
      signal?.throwIfAborted()
      assert(!this.#isReleased, 'run of a released executable')
      const feeds = this.#feeds(fed)
      const fetches = this.#fetches(into)
      return this.#build.attempt('running the graph', async () => {
        this.#session ??= await this.#open()
        return this.#take(this.#session, await this.#runSession(this.#session, feeds, fetches), into)
      })
    })
  }

  async release(): Promise<void> {
    if (this.#isReleased) return
    this.#isReleased = true
    const session = this.#session
    this.#session = null
    if (session !== null) await this.#build.exclusively(() => this.#close(session))
    if (this.#ownsState) await this.state.release()
  }

  /**
   * A session on a device is given up when it fails: the next run of the same one ends the page (onnxruntime-web 1.30).
   */
  async #runSession(
    session: InferenceSession,
    feeds: Record<string, OrtTensor>,
    fetches: Record<string, OrtTensor | null>,
  ): Promise<Record<string, OrtTensor>> {
    try {
      return (await session.run(feeds, fetches)) as Record<string, OrtTensor>
    } catch (error) {
      if (this.#build.traits.outputs === 'device') {
        this.#session = null
        await this.#close(session)
      }
      throw error
    }
  }

  /** Releases `session` and keeps what it made. The caller holds the lock. */
  async #close(session: InferenceSession): Promise<void> {
    await this.state.tensors.outlive(session)
    await session.release().catch(() => undefined)
  }

  #feeds(fed: Readonly<Record<string, Tensor>>): Record<string, OrtTensor> {
    const feeds: Record<string, OrtTensor> = {}
    for (const name of this.inputs.keys()) {
      const tensor = fed[name]
      feeds[name] =
        tensor === undefined ? this.state.tensors.get(name) : toOrt(this.#build.runtime.Tensor, tensor)
    }
    return feeds
  }

  /** The tensors that the runtime shall write to; null: it makes its own. */
  #fetches(into: Readonly<Record<string, Float32Array>>): Record<string, OrtTensor | null> {
    const { runtime, traits } = this.#build
    const fetches: Record<string, OrtTensor | null> = {}
    for (const [name, { shape }] of this.#outputs) {
      const carried = this.#carry[name]
      const array = traits.outputs === 'filled' ? into[name] : undefined
      if (carried !== undefined) fetches[name] = this.state.tensors.target(carried)
      else fetches[name] = array === undefined ? null : new runtime.Tensor('float32', array, shape)
    }
    return fetches
  }

  /** Moves carried results to the state, if they are to stay, and returns the others. */
  #take(
    session: InferenceSession,
    results: Readonly<Record<string, OrtTensor>>,
    into: Readonly<Record<string, Float32Array>>,
  ): Record<string, Tensor> {
    const isFilled = this.#build.traits.outputs === 'filled'
    const deciding = this.#unlessNotFinite
    const isKept = deciding === undefined || Number.isFinite(results[deciding]!.data[0])
    const returned: Record<string, Tensor> = {}
    for (const [name, value] of Object.entries(results)) {
      const carried = this.#carry[name]
      if (carried !== undefined && isKept) this.state.tensors.advance(carried, value, session)
      else if (carried !== undefined) this.state.tensors.discard(value)
      else returned[name] = fromOrt(value, into[name], isFilled)
    }
    return returned
  }
}

function stayingOnDevice(carry: NonNullable<CompileOptions['carry']>): SessionOptions {
  return {
    preferredOutputLocation: Object.fromEntries(Object.keys(carry).map((name) => [name, 'gpu-buffer'])),
  }
}

function fromOrt(value: OrtTensor, into: Float32Array | undefined, isFilled: boolean): Tensor {
  assert(value.type === 'float32' || value.type === 'int32', `training graphs have no ${value.type} outputs`)
  const data = value.data as Float32Array | Int32Array
  if (into === undefined) return { dtype: value.type, shape: value.dims, data }
  if (!isFilled) into.set(data)
  return { dtype: 'float32', shape: value.dims, data: into }
}

/** Unresolved dimensions come as a symbol (native) or as 2^32 - 1 (wasm). */
function dimensionsOf(value: InferenceSession.ValueMetadata): number[] {
  if (!value.isTensor) return []
  return value.shape.map((size) => (typeof size === 'number' && size < 0xffffffff ? size : -1))
}

function typesOf(values: readonly InferenceSession.ValueMetadata[]): Map<string, InferredType> {
  return new Map(
    values.map((value) => [
      value.name,
      { dtype: value.isTensor ? value.type : 'not a tensor', shape: dimensionsOf(value) },
    ]),
  )
}

function constantValue(value: OrtTensor): ConstantValue {
  return { dtype: value.type, shape: value.dims, data: value.data as ArrayBufferView }
}
