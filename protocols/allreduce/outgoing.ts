/**
 * Messages on their way to each peer, in order. A link takes a frame only as fast as its peer reads; the machine
 * decides faster than that, so what it says waits here, as messages whose bytes exist anyway, and is encoded when its
 * turn comes: once for all its receivers, and the frame is kept until the last of them has it.
 *
 * A queue belongs to one link: `drop` forgets it, and what is put afterwards is for the next link. So one that is full
 * must end its link: words that were lost are said again to whoever is linked anew, and to nobody else.
 */

import { hasCode, SwarmError } from '../core/errors.ts'
import { partsMax } from '../core/limits.ts'
import type { Frame } from '../wire/outbox.ts'
import { encodeFrame } from './messages.ts'
import type { Message } from './round/vocabulary.ts'

/**
 * Messages waiting for one peer: a round sends it every part and every result once, and a few words. A peer that lets
 * more than two rounds of the largest model wait has stopped reading.
 */
const queuedMax = 4 * partsMax

/** A message with the queues that still have to send it, and its frame once the first of them did. */
interface Shared {
  receivers: number
  frame: Frame | undefined
}

export interface OutgoingInit {
  /** Resolves when the link took the frame, which is shared between peers and must not be changed. */
  send(peer: string, frame: Frame, message: Message): Promise<void>
  /** More waits for the peer than it may, and is forgotten: its link must be broken. */
  onOverflow(peer: string, error: SwarmError): void
  /** The link failed for another reason than that the peer is gone. */
  onError(peer: string, error: unknown): void
}

export class Outgoing {
  readonly #init: OutgoingInit
  readonly #queues = new Map<string, Message[]>()
  readonly #shared = new Map<Message, Shared>()
  readonly #idle: (() => void)[] = []

  constructor(init: OutgoingInit) {
    this.#init = init
  }

  /** Sends `message` after everything that waits for `peer`. */
  put(peer: string, message: Message): void {
    const queue = this.#queues.get(peer)
    if (queue === undefined) {
      const started = [message]
      this.#share(message)
      this.#queues.set(peer, started)
      void this.#pump(peer, started)
    } else if (queue.length < queuedMax) {
      this.#share(message)
      queue.push(message)
    } else {
      this.drop(peer)
      const text = `${queuedMax} messages wait for peer ${peer}`
      this.#init.onOverflow(peer, new SwarmError('LIMIT_EXCEEDED', text, { peer }))
    }
  }

  /** Forgets the messages that `isStale` names, whoever they wait for; one that is on its way goes out. */
  withdraw(isStale: (message: Message) => boolean): void {
    for (const queue of this.#queues.values()) {
      for (let place = queue.length - 1; place >= 0; place--)
        if (isStale(queue[place]!)) this.#release(queue.splice(place, 1)[0]!)
    }
  }

  /** Forgets what waits for `peer`: its link is gone. */
  drop(peer: string): void {
    const queue = this.#queues.get(peer)
    if (queue === undefined) return
    this.#empty(queue)
    this.#forget(peer, queue)
  }

  /** Resolves when nothing waits. */
  async flushed(): Promise<void> {
    if (this.#queues.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  async #pump(peer: string, queue: Message[]): Promise<void> {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      try {
        await this.#init.send(peer, this.#frameOf(next), next)
      } catch (error) {
        this.#empty(queue)
        if (!hasCode(error, 'PEER_GONE')) this.#init.onError(peer, error)
      } finally {
        this.#release(next)
      }
    }
    this.#forget(peer, queue)
  }

  #share(message: Message): void {
    const shared = this.#shared.get(message)
    if (shared === undefined) this.#shared.set(message, { receivers: 1, frame: undefined })
    else shared.receivers++
  }

  #frameOf(message: Message): Frame {
    const shared = this.#shared.get(message)!
    shared.frame ??= encodeFrame(message)
    return shared.frame
  }

  #release(message: Message): void {
    const shared = this.#shared.get(message)!
    if (--shared.receivers === 0) this.#shared.delete(message)
  }

  #empty(queue: Message[]): void {
    for (const message of queue.splice(0)) this.#release(message)
  }

  #forget(peer: string, queue: Message[]): void {
    if (this.#queues.get(peer) !== queue) return // the next link's queue has taken its place
    this.#queues.delete(peer)
    if (this.#queues.size === 0) for (const resolve of this.#idle.splice(0)) resolve()
  }
}
