/**
 * What a backend is: something that runs ONNX graphs. Trainer, program compiler and benchmarks see only this interface;
 * which backend stands behind it is chosen where a program is composed.
 *
 * Promises every backend keeps: runs of one backend never overlap; the same graph and the same inputs give the same bits on
 * the same backend with the same number of threads; failures are `SwarmError`s that name the node when the runtime does.
 * Another number of threads may change last bits: onnxruntime's matrix product cuts its inner dimension into blocks whose
 * length depends on the columns that a thread gets, when those are fewer than 128. Who compares bits uses one thread.
 * What a backend does not do: validate models, know about training, or move work to a worker. A run on a CPU backend
 * blocks its thread, therefore backends live inside the compute worker (engine/compute).
 */
import type { Tensor } from '../../protocols/core/tensor.ts'

export type BackendName = 'wasm' | 'native' | 'webgpu'

export interface Backend {
  readonly name: BackendName
  /**
   * Makes `model` (ONNX bytes, borrowed) ready to run.
   * @throws {SwarmError} MODEL_INVALID, MODEL_UNSUPPORTED, OUT_OF_MEMORY or BACKEND_FAILED.
   */
  compile(model: Uint8Array, options?: CompileOptions): Promise<Executable>
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
   * State of the graph: output name to input name. After each run the output *is* that input of the next run and stays
   * where the backend computes. Carried inputs are set by `Executable.writeCarried`, not fed; carried outputs are read by
   * `readCarried`, not returned.
   */
  carry?: Readonly<Record<string, string>>
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
  /** The graph's inputs, carried ones too. */
  readonly inputs: ReadonlyMap<string, InferredType>
  /**
   * Runs the graph once. `feeds`: every input that is not carried; borrowed until the promise settles. Returns every
   * output that is not carried; the caller owns the arrays.
   * @throws {SwarmError} BACKEND_FAILED or OUT_OF_MEMORY; carried state is then as before the run.
   */
  run(feeds: Readonly<Record<string, Tensor>>, options?: RunOptions): Promise<Record<string, Tensor>>
  /** Sets the carried input `input` to a copy of `tensor`. */
  writeCarried(input: string, tensor: Tensor): Promise<void>
  /** Copies the carried input `input` to `into` (of its exact length). */
  readCarried(input: string, into: Float32Array): Promise<void>
  /** Gives the memory back. The executable must not be used afterwards; a second call does nothing. */
  release(): Promise<void>
}

/** A tensor's type. `shape`: -1 where the runtime could not tell; `dtype`: the runtime's name, such as `int64` or `bool`. */
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
