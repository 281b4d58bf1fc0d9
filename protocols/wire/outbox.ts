/**
 * The frames waiting to go out on one stream: bounded, in order, and each with an answer to whoever waits.
 *
 *     put(frame) ──▶ [ f3 f2 f1 ] ──next()──▶ sink          the *next* pull proves that the sink took the last frame,
 *                                                           so that pull resolves the promise of that frame's put
 *
 * One consumer. It knows no libp2p; `stream.ts` lets a stream's sink pull from it.
 */

import type { Uint8ArrayList } from 'uint8arraylist'
import { SwarmError } from '../core/errors.ts'
import { linkQueueBytesMax } from '../core/limits.ts'

/** The bytes of one message, in one piece or in several that follow each other. */
export type Frame = Uint8Array | Uint8ArrayList

interface Entry {
  frame: Frame
  taken(): void
  failed(reason: unknown): void
}

export class Outbox implements AsyncIterableIterator<Frame> {
  readonly #bytesMax: number
  readonly #entries: Entry[] = []
  #bytes = 0
  /** Handed to the sink, not yet proven taken. */
  #handed: Entry | undefined
  #wake: (() => void) | undefined
  #isEnded = false
  #failure: { reason: unknown } | undefined

  constructor(bytesMax: number = linkQueueBytesMax) {
    this.#bytesMax = bytesMax
  }

  /** Bytes that wait, the frame on its way to the sink included. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Resolves when the sink took `frame` (borrowed until then). A frame that an abort finds still waiting is not sent.
   * @throws {SwarmError} LIMIT_EXCEEDED when the queue is full, PEER_GONE after `end`; the reason given to `fail`.
   */
  async put(frame: Frame, options: { signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options
    signal?.throwIfAborted()
    if (this.#failure !== undefined) throw this.#failure.reason
    if (this.#isEnded)
      throw new SwarmError('PEER_GONE', 'the stream is closed for writing', { retry: 'same-peer' })
    if (this.#bytes + frame.byteLength > this.#bytesMax) {
      const message = `${this.#bytes} bytes wait already, and ${frame.byteLength} more pass the limit of ${this.#bytesMax}`
      throw new SwarmError('LIMIT_EXCEEDED', message, { retry: 'same-peer' })
    }
    await new Promise<void>((resolve, reject) => this.#enqueue(frame, resolve, reject, signal))
  }

  /** No more frames: the consumer gets those that wait, then the end. */
  end(): void {
    this.#isEnded = true
    this.#wake?.()
  }

  /** Rejects everything that waits, and all later puts, with `reason`. */
  fail(reason: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = { reason }
    const waiting = this.#handed === undefined ? this.#entries : [this.#handed, ...this.#entries]
    this.#handed = undefined
    for (const entry of waiting) entry.failed(reason)
    this.#entries.length = 0
    this.#bytes = 0
    this.#wake?.()
  }

  async next(): Promise<IteratorResult<Frame>> {
    this.#confirmHanded()
    while (this.#entries.length === 0) {
      if (this.#failure !== undefined) throw this.#failure.reason
      if (this.#isEnded) return { done: true, value: undefined }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
    this.#handed = this.#entries.shift()!
    return { done: false, value: this.#handed.frame }
  }

  async return(): Promise<IteratorResult<Frame>> {
    this.fail(new SwarmError('PEER_GONE', 'the stream stopped taking data', { retry: 'same-peer' }))
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #enqueue(frame: Frame, resolve: () => void, reject: (reason: unknown) => void, signal?: AbortSignal): void {
    const onAbort = (): void => {
      const place = this.#entries.indexOf(entry)
      if (place >= 0) {
        this.#entries.splice(place, 1)
        this.#bytes -= frame.byteLength
      }
      reject(signal!.reason)
    }
    const settle = (): void => signal?.removeEventListener('abort', onAbort)
    const entry: Entry = {
      frame,
      taken: () => {
        settle()
        resolve()
      },
      failed: (reason) => {
        settle()
        reject(reason)
      },
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#entries.push(entry)
    this.#bytes += frame.byteLength
    this.#wake?.()
  }

  #confirmHanded(): void {
    if (this.#handed === undefined) return
    this.#bytes -= this.#handed.frame.byteLength
    this.#handed.taken()
    this.#handed = undefined
  }
}
