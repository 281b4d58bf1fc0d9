/**
 * Messages on their way to each peer, in order. A link takes a frame only as fast as its peer reads; the machine decides
 * faster than that, so what it says waits here, as messages whose bytes exist anyway, and is encoded when its turn comes.
 *
 * A queue belongs to one link: `drop` forgets it, and what is put afterwards is for the next link.
 */

import { SwarmError } from '../core/errors.ts'
import { partsMax } from '../core/limits.ts'
import { encodeMessage } from './messages.ts'
import type { Message } from './vocabulary.ts'

/**
 * Messages waiting for one peer: a round sends it every part and every result once, and a few words. A peer that lets more
 * than two rounds of the largest model wait has stopped reading.
 */
const queuedMax = 4 * partsMax

export interface OutgoingInit {
  /** Resolves when the link took the frame. */
  send(peer: string, frame: Uint8Array): Promise<void>
  /** The link failed for another reason than that the peer is gone. */
  onError(peer: string, error: unknown): void
}

export class Outgoing {
  readonly #init: OutgoingInit
  readonly #queues = new Map<string, Message[]>()
  readonly #idle: (() => void)[] = []

  constructor(init: OutgoingInit) {
    this.#init = init
  }

  /** Sends `message` after everything that waits for `peer`. */
  put(peer: string, message: Message): void {
    const queue = this.#queues.get(peer)
    if (queue === undefined) {
      const started = [message]
      this.#queues.set(peer, started)
      void this.#pump(peer, started)
    } else if (queue.length < queuedMax) {
      queue.push(message)
    } else {
      this.drop(peer)
      const text = `${queuedMax} messages wait for peer ${peer}`
      this.#init.onError(peer, new SwarmError('LIMIT_EXCEEDED', text, { peer }))
    }
  }

  /** Forgets what waits for `peer`: its link is gone. */
  drop(peer: string): void {
    const queue = this.#queues.get(peer)
    if (queue === undefined) return
    queue.length = 0
    this.#forget(peer, queue)
  }

  /** Resolves when nothing waits. */
  async flushed(): Promise<void> {
    if (this.#queues.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  async #pump(peer: string, queue: Message[]): Promise<void> {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      try {
        await this.#init.send(peer, encodeMessage(next))
      } catch (error) {
        queue.length = 0
        if (!(error instanceof SwarmError && error.code === 'PEER_GONE')) this.#init.onError(peer, error)
      }
    }
    this.#forget(peer, queue)
  }

  #forget(peer: string, queue: Message[]): void {
    if (this.#queues.get(peer) !== queue) return // the next link's queue has taken its place
    this.#queues.delete(peer)
    if (this.#queues.size === 0) for (const resolve of this.#idle.splice(0)) resolve()
  }
}
