/**
 * The topics of the runs that this peer follows: subscribed while at least one follower is there, and progress sent so that
 * a slow network never piles it up: while one report of a run is on its way, only the newest of the next ones waits.
 */

import type { PeerId } from '@libp2p/interface'
import { encodeProgress, type Progress, runTopic } from './messages.ts'

/** What is used of gossipsub. */
export interface Gossip {
  subscribe(topic: string): void
  unsubscribe(topic: string): void
  publish(topic: string, data: Uint8Array): Promise<unknown>
  addEventListener(type: 'message', listener: (event: CustomEvent<GossipMessage>) => void): void
  removeEventListener(type: 'message', listener: (event: CustomEvent<GossipMessage>) => void): void
}

/** A message with, under StrictSign, the verified id of its author. */
export interface GossipMessage {
  topic: string
  data: Uint8Array
  from?: PeerId
}

export class RunTopics {
  readonly #gossip: Gossip
  /** A report that did not get out is no failure: the next one will, and says more. */
  readonly #onFailure: (error: unknown) => void
  readonly #followers = new Map<string, number>()
  /** By job; `undefined` when nothing waits behind the report being sent. */
  readonly #waiting = new Map<string, Progress | undefined>()

  constructor(gossip: Gossip, onFailure: (error: unknown) => void) {
    this.#gossip = gossip
    this.#onFailure = onFailure
  }

  /** One more follower of `job`. The returned function takes it back, once. */
  join(job: string): () => void {
    const followers = this.#followers.get(job) ?? 0
    this.#followers.set(job, followers + 1)
    if (followers === 0) this.#gossip.subscribe(runTopic(job))
    let isIn = true
    return () => {
      if (isIn) this.#leave(job)
      isIn = false
    }
  }

  /** The followed job that `topic` belongs to. */
  jobOf(topic: string): string | undefined {
    return [...this.#followers.keys()].find((job) => runTopic(job) === topic)
  }

  /** Sends `progress`, or lets it wait in the place of an older one. */
  send(job: string, progress: Progress): void {
    if (this.#waiting.has(job)) this.#waiting.set(job, progress)
    else void this.#sendAll(job, progress)
  }

  async #sendAll(job: string, first: Progress): Promise<void> {
    for (let next: Progress | undefined = first; next !== undefined; next = this.#waiting.get(job)) {
      this.#waiting.set(job, undefined)
      try {
        await this.#gossip.publish(runTopic(job), encodeProgress(next))
      } catch (error) {
        this.#onFailure(error)
      }
    }
    this.#waiting.delete(job)
  }

  #leave(job: string): void {
    const followers = (this.#followers.get(job) ?? 0) - 1
    if (followers > 0) {
      this.#followers.set(job, followers)
      return
    }
    this.#followers.delete(job)
    this.#gossip.unsubscribe(runTopic(job))
  }
}
