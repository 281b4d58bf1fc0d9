/**
 * A `Backend` over any onnxruntime build whose tensors live in main memory. Builds share one API (onnxruntime-common) and
 * differ in what {@link OrtTraits} says; `wasm.ts` and `native.ts` fill it in.
 *
 * Carried state on these builds is arrays that this file owns. Where the runtime fills arrays that it is given (native),
 * each carried tensor has two, and a run reads one and writes the other: no copy, no allocation. Where it does not (wasm
 * copies in and out of its heap on every run), the array that came out is fed back as it is.
 */
import type { InferenceSession, Tensor as OrtTensor, TensorConstructor } from 'onnxruntime-common'
import { assert } from '../../protocols/core/assert.ts'
import type { Tensor } from '../../protocols/core/tensor.ts'
import type {
  Backend,
  BackendName,
  CompileOptions,
  ConstantValue,
  Executable,
  InferredType,
  RunOptions,
} from './backend.ts'
import { backendFailure } from './failure.ts'
import { Mutex } from './mutex.ts'

/** The part of an onnxruntime module that backends use. Both npm packages have it. */
export interface OrtRuntime {
  readonly InferenceSession: {
    create(model: Uint8Array, options?: InferenceSession.SessionOptions): Promise<InferenceSession>
  }
  readonly Tensor: TensorConstructor
}

export interface OrtTraits {
  readonly name: BackendName
  readonly sessionOptions: InferenceSession.SessionOptions
  /** Whether `run` writes into output tensors it is given. onnxruntime-web 1.30 returns them untouched, without an error. */
  readonly fillsOutputs: boolean
}

/** A backend over `runtime`. Opens nothing until the first model. */
export function ortBackend(runtime: OrtRuntime, traits: OrtTraits): Backend {
  const mutex = new Mutex()
  const open = (model: Uint8Array, options: InferenceSession.SessionOptions = {}) =>
    mutex.run(() =>
      attempt(traits.name, 'loading the model', () =>
        runtime.InferenceSession.create(model, { ...traits.sessionOptions, ...options }),
      ),
    )
  return {
    name: traits.name,
    compile: async (model, options = {}) =>
      ortExecutable(runtime, traits, mutex, await open(model), options.carry ?? {}),
    inferTypes: async (model) => {
      // 'basic' folds shape arithmetic, without which PyTorch's Reshape targets stay unknown; higher levels fuse
      // nodes away whose types are asked for.
      const session = await open(model, { graphOptimizationLevel: 'basic' })
      const types = typesOf(session.outputMetadata)
      await session.release()
      return types
    },
    evaluateConstants: async (model) => {
      const session = await open(model, { graphOptimizationLevel: 'basic' })
      const outputs = await mutex
        .run(() => attempt(traits.name, 'folding constants', () => session.run({})))
        .finally(() => session.release())
      return new Map(Object.entries(outputs).map(([name, value]) => [name, constantValue(value)]))
    },
  }
}

/** One carried tensor: `now` is the next run's input; `next`, where the runtime fills outputs, is where it writes. */
interface Carried {
  now: OrtTensor
  next: OrtTensor | null
}

function ortExecutable(
  runtime: OrtRuntime,
  traits: OrtTraits,
  mutex: Mutex,
  session: InferenceSession,
  carry: NonNullable<CompileOptions['carry']>,
): Executable {
  const carried = new Map<string, Carried>()
  const inputs = typesOf(session.inputMetadata)
  const outputs = typesOf(session.outputMetadata)
  let isReleased = false

  const feedsOf = (fed: Readonly<Record<string, Tensor>>): Record<string, OrtTensor> => {
    const feeds: Record<string, OrtTensor> = {}
    for (const [name, tensor] of Object.entries(fed)) feeds[name] = toOrt(runtime, tensor)
    for (const [name, { now }] of carried) feeds[name] = now
    return feeds
  }

  const fetchesOf = (into: RunOptions['into'] = {}): Record<string, OrtTensor | null> => {
    const fetches: Record<string, OrtTensor | null> = {}
    for (const [name, { shape }] of outputs) {
      const input = carry[name]
      const array = into[name]
      if (!traits.fillsOutputs) fetches[name] = null
      else if (input !== undefined) fetches[name] = carriedTensor(input).next
      else fetches[name] = array ? new runtime.Tensor('float32', array, shape) : null
    }
    return fetches
  }

  const carriedTensor = (input: string): Carried => {
    const tensor = carried.get(input)
    assert(tensor !== undefined, `carried input '${input}' was never written`)
    return tensor
  }

  const advance = (results: Readonly<Record<string, OrtTensor>>): void => {
    for (const [output, input] of Object.entries(carry)) {
      const tensor = carriedTensor(input)
      if (tensor.next === null) tensor.now = results[output]!
      else [tensor.now, tensor.next] = [tensor.next, tensor.now]
    }
  }

  return {
    inputs,

    run: (fed, { into = {}, signal } = {}) =>
      mutex.run(async () => {
        signal?.throwIfAborted()
        assert(!isReleased, 'run of a released executable')
        const feeds = feedsOf(fed)
        const fetches = fetchesOf(into)
        const results = (await attempt(traits.name, 'running the graph', () =>
          session.run(feeds, fetches),
        )) as Record<string, OrtTensor>
        advance(results)
        const returned: Record<string, Tensor> = {}
        for (const [name, value] of Object.entries(results)) {
          if (carry[name] === undefined) returned[name] = fromOrt(value, into[name], traits.fillsOutputs)
        }
        return returned
      }),

    writeCarried: async (input, tensor) => {
      const current = carried.get(input)
      if (traits.fillsOutputs && current) (current.now.data as Float32Array).set(tensor.data)
      else carried.set(input, newCarried(runtime, traits, tensor))
    },

    readCarried: async (input, into) => into.set(carriedTensor(input).now.data as Float32Array),

    release: async () => {
      if (isReleased) return
      isReleased = true
      carried.clear()
      await mutex.run(() => session.release())
    },
  }
}

async function attempt<Result>(
  name: BackendName,
  doing: string,
  task: () => Promise<Result>,
): Promise<Result> {
  try {
    return await task()
  } catch (error) {
    throw backendFailure(name, doing, error)
  }
}

function newCarried(runtime: OrtRuntime, traits: OrtTraits, tensor: Tensor): Carried {
  const copy = (data: Tensor['data']) => toOrt(runtime, { ...tensor, data })
  return {
    now: copy(tensor.data.slice()),
    next: traits.fillsOutputs ? copy(new Float32Array(tensor.data.length)) : null,
  }
}

function toOrt(runtime: OrtRuntime, { dtype, data, shape }: Tensor): OrtTensor {
  return dtype === 'float32'
    ? new runtime.Tensor('float32', data as Float32Array, shape)
    : new runtime.Tensor('int32', data as Int32Array, shape)
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
