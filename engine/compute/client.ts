/**
 * The program's end of the compute boundary: calls become requests with ids, answers settle them.
 *
 * Large arrays are copied once, here, and the copies move to the worker: cloning would copy twice, and would drag the
 * whole buffer behind a view along. After the worker's death every pending and later call rejects with the same error.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import { computeCallsMax } from '../../protocols/core/limits.ts'
import type { Batch, Tensor } from '../../protocols/core/tensor.ts'
import type { Compute, TrainOptions } from './compute.ts'
import { type Answer, type Call, type ClientPort, errorOf, type ResultOf } from './messages.ts'

interface Pending {
  settle(answer: Extract<Answer, { kind: 'done' | 'failed' | 'cancelled' }>): void
  reject(error: unknown): void
  onStep: TrainOptions['onStep']
}

/** A `Compute` whose worker listens at the other end of `port`. */
export function connectCompute(port: ClientPort): Compute {
  const calls = new Calls(port)
  return {
    open: (model, spec, options, { signal } = {}) => {
      const bytes = model.slice()
      return calls.call({ kind: 'open', model: bytes, spec, options }, [bytes.buffer], { signal })
    },
    train: (task, { signal, onStep } = {}) => {
      const transfer: ArrayBuffer[] = []
      const start = moved(task.start, transfer)
      const batches = task.batches.map((batch) => movedBatch(batch, transfer))
      const copy = { ...task, start, batches }
      const wantsSteps = onStep !== undefined
      return calls.call({ kind: 'train', task: copy, wantsSteps }, transfer, { signal, onStep })
    },
    evaluate: (parameters, batches, { signal } = {}) => {
      const transfer: ArrayBuffer[] = []
      const copy = moved(parameters, transfer)
      const copies = batches.map((batch) => movedBatch(batch, transfer))
      return calls.call({ kind: 'evaluate', parameters: copy, batches: copies }, transfer, { signal })
    },
    close: () => calls.close(),
  }
}

/** The pending calls of one port. */
class Calls {
  readonly #port: ClientPort
  readonly #pending = new Map<number, Pending>()
  #nextId = 0
  #end: SwarmError | undefined
  #closing: Promise<void> | undefined

  constructor(port: ClientPort) {
    this.#port = port
    port.onAnswer((answer) => this.#receive(answer))
    port.onDeath((reason) => this.#die(workerDied(reason)))
  }

  /** Sends `call`; resolves with its result. Rejects at once when cancelled: the worker may still be in a step. */
  async call<Kind extends Call['kind']>(
    call: Extract<Call, { kind: Kind }>,
    transfer: ArrayBuffer[],
    { signal, onStep }: TrainOptions,
  ): Promise<ResultOf[Kind]> {
    signal?.throwIfAborted()
    if (this.#end) throw this.#end
    if (this.#pending.size >= computeCallsMax) {
      throw new SwarmError(
        'LIMIT_EXCEEDED',
        `${this.#pending.size} calls wait for the compute worker already`,
        {
          hint: 'Await one call before the next.',
        },
      )
    }
    const id = this.#nextId++
    let stop: () => void = () => undefined
    const result = new Promise<ResultOf[Kind]>((resolve, reject) => {
      const settle: Pending['settle'] = (answer) => {
        if (answer.kind === 'done') resolve(answer.result as ResultOf[Kind])
        else reject(answer.kind === 'failed' ? errorOf(answer.failure) : signal?.reason)
      }
      const pending: Pending = { settle, reject, onStep }
      this.#pending.set(id, pending)
      stop = () => {
        this.#port.post({ kind: 'cancel', id }, [])
        pending.onStep = undefined
        reject(signal?.reason)
      }
    })
    this.#postOf(id, call, transfer)
    signal?.addEventListener('abort', stop, { once: true })
    try {
      return await result
    } finally {
      signal?.removeEventListener('abort', stop)
    }
  }

  /** Posts pending call `id`. What cannot be posted (a value that cannot be cloned) is pending no longer. */
  #postOf(id: number, call: Call, transfer: ArrayBuffer[]): void {
    try {
      this.#port.post({ id, ...call }, transfer)
    } catch (error) {
      this.#pending.delete(id)
      throw error
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    if (this.#end === undefined) {
      this.#port.post({ kind: 'close' }, [])
      this.#die(
        new SwarmError('BACKEND_FAILED', 'the compute worker was closed', { hint: 'Open another one.' }),
      )
    }
    await this.#port.ended()
  }

  #receive(answer: Answer): void {
    if (answer.kind === 'crashed') {
      this.#die(workerDied(answer.message))
      return
    }
    const call = this.#pending.get(answer.id)
    if (answer.kind === 'step') {
      call?.onStep?.(answer.index, answer.loss)
      return
    }
    this.#pending.delete(answer.id)
    call?.settle(answer)
  }

  #die(error: SwarmError): void {
    this.#end ??= error
    for (const { reject } of this.#pending.values()) reject(this.#end)
    this.#pending.clear()
  }
}

function workerDied(reason: unknown): SwarmError {
  const text = reason instanceof Error ? reason.message : String(reason)
  return new SwarmError('BACKEND_FAILED', `the compute worker died: ${text}`, {
    hint: 'Start again, with a smaller batch or --backend wasm if it happens again.',
    cause: reason,
  })
}

/** A copy of `array` whose buffer holds nothing else and is listed in `transfer`. */
function moved<Data extends Float32Array | Int32Array>(array: Data, transfer: ArrayBuffer[]): Data {
  const copy = array.slice() as Data
  transfer.push(copy.buffer as ArrayBuffer)
  return copy
}

function movedBatch({ inputs, labels }: Batch, transfer: ArrayBuffer[]): Batch {
  const movedTensor = (tensor: Tensor): Tensor => ({ ...tensor, data: moved(tensor.data, transfer) })
  return {
    inputs: Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => [name, movedTensor(tensor)])),
    labels: movedTensor(labels),
  }
}
