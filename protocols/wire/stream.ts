/**
 * The one file that touches a libp2p stream. Everything above it sees frames: length-prefixed messages, in order, both
 * ways, with back-pressure both ways.
 *
 *     outbox ──▶ length prefix ──▶ [ libp2p stream ] ──▶ length prefix ──▶ frames
 *
 * Reading. A libp2p stream pushes, and buffers without bound (or aborts at 4 MiB) when nobody listens. `receive` turns
 * the push into a pull: above one frame of the largest kind it pauses the stream, so the sender's window runs dry.
 * Never pause from inside a dispatch that `resume` caused: libp2p would un-pause the muxer afterwards and the buffer
 * would grow to abort.
 *
 * Writing. `stream.onDrain()` of @libp2p/utils 7.4.1 keeps one promise for ever, so from its second call on it resolves
 * at once. `drained` therefore listens to the events itself.
 */

import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import * as lengthPrefixed from 'it-length-prefixed'
import { pipe } from 'it-pipe'
import type { Uint8ArrayList } from 'uint8arraylist'
import { type Clock, systemClock } from '../core/clock.ts'
import { SwarmError } from '../core/errors.ts'
import { frameBytesMax, linkStallMs } from '../core/limits.ts'
import { type Frame, Outbox } from './outbox.ts'
import type { Activity } from './pulse.ts'

type Chunk = Uint8Array | Uint8ArrayList

/** Length prefixes of more bytes than this are junk: four hold 256 MiB, far beyond any frame. */
const prefixBytesMax = 4

export interface FrameStreamInit {
  /** Who is at the other end; named in errors. */
  peer: string
  /** A longer frame is not sent. Default `frameBytesMax`. */
  bytesMax?: number
  /** A longer frame of the peer's is refused before it is buffered. Default `bytesMax`. */
  readBytesMax?: number
  /** Bytes that may wait to be sent. Default `linkQueueBytesMax`. */
  queueBytesMax?: number
  clock?: Clock
}

/** A framed stream to one peer. */
export class FrameStream {
  readonly peer: string
  /**
   * The peer's frames; each has a buffer of its own. Ends when the peer has closed, throws SwarmError when it broke.
   */
  readonly frames: AsyncIterable<Uint8Array>
  readonly #stream: Stream
  readonly #outbox: Outbox
  readonly #bytesMax: number
  readonly #readBytesMax: number
  #bytesUp = 0
  #bytesDown = 0
  #said = 0
  #heard = 0

  /** Takes over `stream`: nobody else may read or write it. */
  constructor(stream: Stream, init: FrameStreamInit) {
    this.peer = init.peer
    this.#stream = stream
    this.#bytesMax = init.bytesMax ?? frameBytesMax
    this.#readBytesMax = init.readBytesMax ?? this.#bytesMax
    this.#outbox = new Outbox(init.queueBytesMax)
    this.onClose((error) => this.#outbox.fail(gone(init.peer, error)))
    stream.addEventListener('message', () => {
      this.#heard++
    })
    const { source, sink } = duplex(stream, this.#readBytesMax, init.clock ?? systemClock)
    const chunks = pipe(this.#outbox, addPrefixes, { source, sink }, (received: AsyncIterable<Chunk>) =>
      lengthPrefixed.decode(received, { maxDataLength: this.#readBytesMax, maxLengthLength: prefixBytesMax }),
    )
    this.frames = this.#receiveFrames(chunks)
  }

  /** Bytes of frames sent to the peer and received from it, prefixes not counted. */
  get traffic(): { bytesUp: number; bytesDown: number } {
    return { bytesUp: this.#bytesUp, bytesDown: this.#bytesDown }
  }

  /** What this end heard and said so far, and what it is at. */
  get activity(): Activity {
    return {
      heard: this.#heard,
      said: this.#said,
      isSending: this.#outbox.bytes > 0,
      isHeldBack: this.#stream.readStatus === 'paused',
    }
  }

  /**
   * Resolves when the transport took `frame`, under back-pressure; until then the frame must not change.
   * @throws {SwarmError} MESSAGE_TOO_LARGE, LIMIT_EXCEEDED when the queue is full, PEER_GONE.
   */
  async send(frame: Frame, options: { signal?: AbortSignal } = {}): Promise<void> {
    if (frame.byteLength > this.#bytesMax) throw tooLarge(`${frame.byteLength} bytes`, this.#bytesMax)
    this.#said++
    await this.#outbox.put(frame, options)
    this.#bytesUp += frame.byteLength
  }

  /** Calls `listener` once when the stream is closed on both sides, at once if it is; `error` when it broke. */
  onClose(listener: (error?: Error) => void): void {
    if (this.#stream.timeline.close !== undefined) listener()
    else {
      const onClose = (event: StreamCloseEvent): void => listener(event.error)
      this.#stream.addEventListener('close', onClose as (event: Event) => void, { once: true })
    }
  }

  /** Sends what waits, then tells the peer that no more will come. The peer may still send. */
  close(): void {
    this.#outbox.end()
  }

  /** Drops the stream at once; the peer sees a reset. */
  abort(reason: Error): void {
    this.#outbox.fail(reason)
    this.#stream.abort(reason)
  }

  async *#receiveFrames(chunks: AsyncIterable<Uint8ArrayList>): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of chunks) {
        this.#bytesDown += chunk.byteLength
        yield copied(chunk)
      }
    } catch (error) {
      const reason = this.#readError(error)
      this.abort(reason)
      throw reason
    }
  }

  #readError(error: unknown): Error {
    // libp2p breaks streams with its own timeouts and aborts: for the reader too that is a peer that went, nothing it
    // cancelled
    if (error instanceof SwarmError) return error
    const name = error instanceof Error ? error.name : ''
    if (name === 'InvalidDataLengthError') return tooLarge('a frame', this.#readBytesMax, this.peer)
    if (name.startsWith('InvalidDataLength') || name.startsWith('InvalidMessageLength')) {
      return new SwarmError('PROTOCOL_VIOLATION', `peer ${this.peer} sent a length prefix that is none`, {
        peer: this.peer,
        cause: error,
      })
    }
    return gone(this.peer, error)
  }
}

/**
 * One stream as an it-pipe duplex. The sink closes the stream for writing when its source ends, and aborts it on error.
 */
function duplex(stream: Stream, readAheadBytes: number, clock: Clock) {
  return {
    source: receive(stream, readAheadBytes),
    async sink(source: AsyncIterable<Chunk>): Promise<void> {
      try {
        for await (const chunk of source) if (!stream.send(chunk)) await drained(stream, clock)
        await stream.close({ signal: AbortSignal.timeout(linkStallMs) })
      } catch (error) {
        stream.abort(error instanceof Error ? error : new Error(String(error)))
        throw error
      }
    },
  }
}

/**
 * What `stream` pushes, as a pull with back-pressure. Listens from the moment of the call, so nothing is missed.
 * `readAheadBytes` is where the sender is held back: one frame of the largest kind, so that a frame never arrives in
 * halves.
 */
function receive(stream: Stream, readAheadBytes: number): AsyncIterable<Chunk> {
  const queue: Chunk[] = []
  let bytes = 0
  let wake: (() => void) | undefined
  let isResuming = false
  let failure: Error | undefined
  let isEnded = stream.readStatus === 'closed' || stream.remoteWriteStatus === 'closed'

  const hold = (): void => {
    if (bytes >= readAheadBytes && stream.readStatus === 'readable') stream.pause()
  }
  const release = (): void => {
    if (bytes >= readAheadBytes || stream.readStatus !== 'paused') return
    isResuming = true
    try {
      stream.resume()
    } finally {
      isResuming = false
    }
    hold()
  }
  stream.addEventListener('message', ((event: StreamMessageEvent) => {
    queue.push(event.data)
    bytes += event.data.byteLength
    if (!isResuming) hold()
    wake?.()
  }) as (event: Event) => void)
  const onEnd = (event: Event): void => {
    failure ??= (event as StreamCloseEvent).error
    isEnded = true
    wake?.()
  }
  stream.addEventListener('remoteCloseWrite', onEnd)
  stream.addEventListener('close', onEnd)

  return (async function* () {
    while (true) {
      while (queue.length > 0) {
        const chunk = queue.shift()!
        yield chunk
        bytes -= chunk.byteLength
        release()
      }
      if (failure !== undefined) throw failure
      if (isEnded && stream.readBufferLength === 0) return
      await new Promise<void>((resolve) => {
        wake = resolve
      })
      wake = undefined
    }
  })()
}

/**
 * Resolves when `stream` can be written again. @throws {SwarmError} TIMEOUT when the peer takes no byte for
 * `linkStallMs`.
 */
async function drained(stream: Stream, clock: Clock): Promise<void> {
  while (stream.writableNeedsDrain) {
    await new Promise<void>((resolve, reject) => {
      const settle = (error?: Error): void => {
        cancelTimer()
        stream.removeEventListener('drain', onDrain)
        stream.removeEventListener('close', onClose)
        if (error === undefined) resolve()
        else reject(error)
      }
      const onDrain = (): void => settle()
      const onClose = (event: Event): void =>
        settle((event as StreamCloseEvent).error ?? new Error('stream closed'))
      const cancelTimer = clock.setTimer(linkStallMs, () =>
        settle(
          new SwarmError('TIMEOUT', `the peer took no byte for ${linkStallMs / 1000} s`, {
            retry: 'other-peer',
          }),
        ),
      )
      stream.addEventListener('drain', onDrain)
      stream.addEventListener('close', onClose)
    })
  }
}

/** Prefix and frame in one chunk: two would cost a muxer frame each. */
async function* addPrefixes(frames: AsyncIterable<Frame>): AsyncGenerator<Uint8ArrayList> {
  for await (const frame of frames) yield lengthPrefixed.encode.single(frame)
}

/** A plain array of its own: a view would pin the network's larger buffers, and be a Buffer at any offset in Node. */
function copied(list: Uint8ArrayList): Uint8Array {
  const bytes = new Uint8Array(list.byteLength)
  let offset = 0
  for (const part of list) {
    bytes.set(part, offset)
    offset += part.byteLength
  }
  return bytes
}

function gone(peer: string, cause: unknown): SwarmError {
  return new SwarmError('PEER_GONE', `the stream to peer ${peer} closed`, { peer, retry: 'same-peer', cause })
}

function tooLarge(what: string, bytesMax: number, peer?: string): SwarmError {
  const sender = peer === undefined ? '' : ` from peer ${peer}`
  return new SwarmError('MESSAGE_TOO_LARGE', `${what}${sender} passes the limit of ${bytesMax} bytes`, {
    peer,
  })
}
