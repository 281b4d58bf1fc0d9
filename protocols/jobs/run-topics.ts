/**
 * The topics of the runs that this peer follows: subscribed while at least one follower is there, and progress sent so
 * that a slow network never piles it up: while one report of a run is on its way, only the newest of the next ones
 * waits.
 *
 * What is no message of the topic is not passed on to others, and counts against whoever passed it here.
 */

import { type GossipSub, type TopicValidatorFn, TopicValidatorResult } from '@libp2p/gossipsub'
import { SwarmError } from '../core/errors.ts'
import { decodeRunMessage, encodeProgress, type Progress, runTopic } from './messages.ts'

/** A validator for gossipsub that accepts what is signed and what `decode` can read. */
export function readableBy(decode: (bytes: Uint8Array) => unknown): TopicValidatorFn {
  return (_, message) => {
    if (message.type !== 'signed') return TopicValidatorResult.Reject
    try {
      decode(message.data)
      return TopicValidatorResult.Accept
    } catch (error) {
      if (error instanceof SwarmError) return TopicValidatorResult.Reject
      throw error
    }
  }
}

export class RunTopics {
  readonly #gossip: GossipSub
  /** A report that did not get out is no failure: the next one will, and says more. */
  readonly #onFailure: (error: unknown) => void
  readonly #followers = new Map<string, number>()
  /** By job; `undefined` when nothing waits behind the report being sent. */
  readonly #waiting = new Map<string, Progress | undefined>()

  constructor(gossip: GossipSub, onFailure: (error: unknown) => void) {
    this.#gossip = gossip
    this.#onFailure = onFailure
  }

  /** One more follower of `job`. The returned function takes it back, once. */
  join(job: string): () => void {
    const followers = this.#followers.get(job) ?? 0
    this.#followers.set(job, followers + 1)
    if (followers === 0) {
      this.#gossip.topicValidators.set(runTopic(job), readableBy(decodeRunMessage))
      this.#gossip.subscribe(runTopic(job))
    }
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
    this.#gossip.topicValidators.delete(runTopic(job))
  }
}
