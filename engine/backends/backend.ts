/**
 * What a backend is: something that runs ONNX graphs. Trainer, program compiler and benchmarks see only this interface;
 * which backend stands behind it is chosen where a program is composed.
 *
 * Promises every backend keeps: runs of one backend never overlap; the same graph and the same inputs give the same
 * bits on the same backend with the same number of threads, for wasm in every process and browser; failures are
 * `SwarmError`s that name the node when the runtime does. Another number of threads may change last bits: onnxruntime
 * cuts the sum of an element into pieces whose length depends on the columns of a product that a thread gets, when
 * those are 64 or fewer. For wasm, programs are written so that up to four threads give the bits of one, when a batch
 * has as many samples as there are threads (docs/decisions/0009). What a backend does not do: validate models, know
 * about training, or move work to a worker. A run on a CPU backend blocks its thread, therefore backends live inside
 * the compute worker (engine/compute).
 *
 * State is apart from executables, because several graphs work on one set of parameters: a step changes what an
 * evaluation reads. It stays where the backend computes, on the graphics processor's own memory where there is one.
 */
import type { Tensor } from '../../protocols/core/tensor.ts'

export type BackendName = 'wasm' | 'native' | 'webgpu'

/** `computed`: kernels take float16. `emulated`: they take float32, and rounding to float16 is a cast of its own. */
export type HalfKernels = 'computed' | 'emulated'

export interface Backend {
  readonly name: BackendName
  /** Channels of a block, where it has kernels for convolutions of images in blocks (blocked-convolution.ts). */
  readonly channelBlock?: number | undefined
  /**
   * Threads of one graph, 1 or more: as many as were asked for, or what the platform gives; certain once a model is
   * compiled.
   */
  readonly threads: number
  /**
   * Makes `model` (ONNX bytes, borrowed) ready to run.
   * @throws {SwarmError} MODEL_INVALID, MODEL_UNSUPPORTED, OUT_OF_MEMORY or BACKEND_FAILED.
   */
  compile(model: Uint8Array, options?: CompileOptions): Promise<Executable>
  /** How graphs compute in float16 here; null where they cannot. Tried on the device when it is first asked for. */
  halfKernels(): Promise<HalfKernels | null>
  /** Tensors that outlive runs and executables. Empty at first; the caller releases it. */
  newState(): CarriedState
  /**
   * Types of all graph outputs of `model`, as the runtime's own shape inference sees them. To learn an intermediate's
   * type, list its name among the graph's outputs, without a type. The model is loaded but not run.
   * @throws {SwarmError} as `compile`.
   */
  inferTypes(model: Uint8Array): Promise<Map<string, InferredType>>
  /**
   * Values of all outputs of a graph without inputs. Also of dtypes that no training graph uses (int64, bool, ...).
   * @throws {SwarmError} as `compile`.
   */
  evaluateConstants(model: Uint8Array): Promise<Map<string, ConstantValue>>
}

export interface CompileOptions {
  /**
   * How a run changes the state: output name to the name of the tensor that it becomes. Such outputs are not returned.
   * A run reads the state as it was before the run.
   */
  carry?: Readonly<Record<string, string>>
  /** Where inputs come from that a run is not fed. Default: a state of this executable's own, released with it. */
  state?: CarriedState
  /** Name of a float32 output []: a run that gives a value there which is not finite leaves the state as it was. */
  unlessNotFinite?: string | undefined
}

/** Named tensors that stay where the backend computes, from one run to the next. */
export interface CarriedState {
  /** Sets tensor `name` to a copy of `tensor`. */
  write(name: string, tensor: Tensor): Promise<void>
  /**
   * Copies tensor `name` to `into` (of its exact length).
   * @throws {SwarmError} DEVICE_LOST, BACKEND_FAILED
   */
  read(name: string, into: Float32Array): Promise<void>
  /** Gives the memory back; never fails. No executable may use the state afterwards; a second call does nothing. */
  release(): Promise<void>
}

export interface RunOptions {
  /**
   * Arrays of exactly an output's length. The output is written there, and the returned tensor's `data` is that array.
   * Saves the native backend an allocation for each run (24 ms for 40 MB).
   */
  into?: Readonly<Record<string, Float32Array>>
  /** Checked before the run starts; a started run is not interrupted. */
  signal?: AbortSignal
}

export interface Executable {
  /** The graph's inputs, those that the state holds too. */
  readonly inputs: ReadonlyMap<string, InferredType>
  readonly state: CarriedState
  /**
   * Runs the graph once. `feeds`: every input that the state does not hold; borrowed until the promise settles. Returns
   * every output that is not carried; the caller owns the arrays.
   * @throws {SwarmError} BACKEND_FAILED or OUT_OF_MEMORY, the state is then as before the run; DEVICE_LOST, the state
   *   is then lost, and graphs run again once every executable and state of this backend was released.
   */
  run(feeds: Readonly<Record<string, Tensor>>, options?: RunOptions): Promise<Record<string, Tensor>>
  /** Gives the memory back; never fails. The executable must not be used afterwards; a second call does nothing. */
  release(): Promise<void>
}

/**
 * A tensor's type. `shape`: -1 where the runtime could not tell; `dtype`: the runtime's name, such as `int64` or
 * `bool`.
 */
export interface InferredType {
  dtype: string
  shape: readonly number[]
}

/** The value of a constant. `data`: BigInt64Array for int64, Uint8Array for bool, else the array type of `dtype`. */
export interface ConstantValue {
  dtype: string
  shape: readonly number[]
  data: ArrayBufferView
}
