/**
 * What the two ends of a compute port say to each other, as structured-clonable objects. Both ends are of one build and
 * one process, so nothing here is validated: this is not a wire format.
 *
 * Each request has an `id` that its answers repeat. `open`, `train` and `evaluate` are answered by exactly one of
 * `done`, `failed` and `cancelled`; `train` by any number of `step`s before. `crashed` answers everything at once.
 */
import { type ErrorCode, type Retry, SwarmError } from '../../protocols/core/errors.ts'
import type { Batch } from '../../protocols/core/tensor.ts'
import type { TrainingSpec } from '../program/training-program.ts'
import type { EvaluationResult, OpenedModel, OpenOptions, TrainResult, TrainTask } from './compute.ts'

/** A request that has a result. */
export type Call =
  | { kind: 'open'; model: Uint8Array; spec: TrainingSpec; options: OpenOptions }
  | { kind: 'train'; task: TrainTask; wantsSteps: boolean }
  | { kind: 'evaluate'; parameters: Float32Array; batches: readonly Batch[] }

export type Request = ({ id: number } & Call) | { kind: 'cancel'; id: number } | { kind: 'close' }

/** The result type of each kind of call. */
export interface ResultOf {
  open: OpenedModel
  train: TrainResult
  evaluate: EvaluationResult
}

export type Answer =
  | { kind: 'done'; id: number; result: ResultOf[keyof ResultOf] }
  | { kind: 'failed'; id: number; failure: Failure }
  | { kind: 'cancelled'; id: number }
  | { kind: 'step'; id: number; index: number; loss: number }
  | { kind: 'crashed'; message: string }

/** A `SwarmError` without its class and cause, which do not survive cloning. */
export interface Failure {
  code: ErrorCode
  message: string
  hint: string | undefined
  retry: Retry
}

/** The parts of `error` that travel. */
export function failureOf({ code, message, hint, retry }: SwarmError): Failure {
  return { code, message, hint, retry }
}

/** The error that a failure stands for. */
export function errorOf({ code, message, hint, retry }: Failure): SwarmError {
  return new SwarmError(code, message, { hint, retry })
}

/** The worker's side of the port. */
export interface ServerPort {
  /** Sends `answer`; the buffers in `transfer` move instead of being copied. */
  post(answer: Answer, transfer: ArrayBuffer[]): void
  onRequest(handler: (request: Request) => void): void
  /** Resolves when the requests that had arrived have been handed to the handler. Called between steps. */
  turn(): Promise<void>
  /** After this the worker may end. */
  close(): void
}

/** The program's side of the port. */
export interface ClientPort {
  post(request: Request, transfer: ArrayBuffer[]): void
  onAnswer(handler: (answer: Answer) => void): void
  /** `handler` is called when the worker has ended, with what is known about why; the first call counts. */
  onDeath(handler: (reason: unknown) => void): void
  /** Resolves when the worker has ended, or is no longer waited for. */
  ended(): Promise<void>
}
