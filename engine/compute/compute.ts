/**
 * The worker boundary as its caller sees it. A run on a CPU backend blocks its thread for a whole step, and a program
 * that answers peers, timers and people cannot stand still; so the engine runs in a worker, and this is its face
 * outside.
 *
 * `client.ts` implements it over a port, `serve.ts` is the other end; how the two reach each other (worker_threads, web
 * workers) is the program's choice.
 */
import type { Batch, ParameterSpec } from '../../protocols/core/tensor.ts'
import type { BackendName } from '../backends/backend.ts'
import type { Recomputation } from '../program/recomputation.ts'
import type { TrainingProgram, TrainingSpec } from '../program/training-program.ts'

/** `auto`: the fastest backend that opens on this machine. */
export type BackendChoice = BackendName | 'auto'

export interface OpenOptions {
  backend: BackendChoice
  /**
   * The backend that was the fastest at this job on this machine before: the others are tried only where it fails.
   * Default: none.
   */
  preferred?: BackendName | undefined
  /** Threads of one graph, 1 or more. Backends that cannot have so many take fewer. */
  threads: number
  /**
   * Most samples of one run of a graph, 1 or more; a larger batch is cut into micro-batches. Default: the batch of the
   * spec.
   */
  microBatch?: number
  /**
   * Memory that a step may take by estimate, bytes. What does not fit recomputes activations, and where that is not
   * enough, micro-batches are halved. Default: no limit.
   */
  memoryBytesMax?: number | undefined
  /** Recomputes at least so much, also where the estimate fits: it was wrong before. Default: `nothing`. */
  recomputationMin?: Recomputation
}

/** What a caller learns of a model that is ready to train. */
export interface OpenedModel {
  parameters: readonly ParameterSpec[]
  parameterCount: number
  /** f32[parameterCount], the model file's own values. The caller's. */
  initial: Float32Array
  inputs: TrainingProgram['inputs']
  labels: TrainingProgram['labels']
  classes: number | null
  /** The backend that was chosen. */
  backend: BackendName
  /** Threads of one graph that it has got, 1 or more. */
  threads: number
  /** Samples of one run of a graph. */
  microBatch: number
  /** What one step takes, by estimate, bytes. */
  memoryBytes: number
  /** How the choice was made, in sentences for the log; empty when there was none. */
  notes: readonly string[]
}

export interface TrainTask {
  /**
   * `gradient`: exactly one batch; the update is its gradient at `start`. `steps`: one optimizer step for each batch;
   * the update is start minus end. The optimizer's slots outlive the task.
   */
  mode: 'gradient' | 'steps'
  /** f32[parameterCount]. Borrowed: copied before the call returns its promise. */
  start: Float32Array
  /** Borrowed as `start`. Each of any number of samples, 1 or more. */
  batches: readonly Batch[]
  /** One for each batch; ignored by `gradient`. */
  learningRates: readonly number[]
}

export interface TrainOptions {
  signal?: AbortSignal
  /**
   * Called after each step with its index, from 0; from 0 again when a lost device, or leaving float16, makes the task
   * start anew.
   */
  onStep?: (index: number, loss: number) => void
}

export interface TrainResult {
  /** f32[parameterCount], the caller's. Every element is finite. */
  update: Float32Array
  /** Mean of `losses`. */
  loss: number
  /** The loss of each step before its update. */
  losses: number[]
  /** Time the task took in the worker. */
  seconds: number
  /** As in {@link OpenedModel}; both can change while training, when memory runs out or a device is lost. */
  backend: BackendName
  microBatch: number
  /** What changed them, in sentences for the log. */
  notes: readonly string[]
}

export interface EvaluationResult {
  /** Mean over predictions. */
  loss: number
  /** Share of predictions whose largest logit is the label's, 0 to 1; 0 where there are no classes. */
  accuracy: number
  predictions: number
}

/**
 * Calls are served one after another, in order. All reject with `signal.reason` at once when cancelled; the worker then
 * stops after the step it is in. When the worker dies, all pending and later calls reject with BACKEND_FAILED.
 */
export interface Compute {
  /**
   * Compiles `model` (ONNX bytes, borrowed) for training. Opening another model replaces the first.
   * @throws {SwarmError} MODEL_INVALID, MODEL_UNSUPPORTED, BACKEND_FAILED, OUT_OF_MEMORY.
   */
  open(
    model: Uint8Array,
    spec: TrainingSpec,
    options: OpenOptions,
    cancel?: { signal?: AbortSignal },
  ): Promise<OpenedModel>
  /**
   * Runs `task`. After LOSS_NOT_FINITE, and after a lost device, the optimizer's slots start from zero again.
   * @throws {SwarmError} LOSS_NOT_FINITE, DATA_INVALID, BACKEND_FAILED, OUT_OF_MEMORY, DEVICE_LOST.
   */
  train(task: TrainTask, options?: TrainOptions): Promise<TrainResult>
  /**
   * Mean loss and accuracy of `parameters` over `batches`; both borrowed. Leaves the optimizer's slots alone.
   * @throws {SwarmError} DATA_INVALID, BACKEND_FAILED, OUT_OF_MEMORY, DEVICE_LOST.
   */
  evaluate(
    parameters: Float32Array,
    batches: readonly Batch[],
    options?: { signal?: AbortSignal },
  ): Promise<EvaluationResult>
  /** Ends the worker; pending calls reject. A second call does nothing. */
  close(): Promise<void>
}
