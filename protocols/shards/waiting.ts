/**
 * Who waits for which block, and the store that each wants it in. A block that several fetches wait for is one entry:
 * it is asked for once, put into the store of each, and given up when the last of them gives up.
 */

import type { CID } from 'multiformats/cid'
import type { BlockStore } from './store.ts'

/** Called with the reason when the fetch that a waiter belongs to ends early. */
export type Cancel = (reason: unknown) => void

interface Waiter {
  into: BlockStore
  /** With the bytes that came over the network for it. */
  resolve(bytes: number): void
  reject(reason: unknown): void
}

export interface WaitingEvents {
  /** The last who waited for a block gave up. */
  onUnwanted(key: string): void
}

export class WaitingBlocks {
  readonly #events: WaitingEvents
  readonly #waiters = new Map<string, Set<Waiter>>()
  readonly #delivering = new Set<string>()

  constructor(events: WaitingEvents) {
    this.#events = events
  }

  /** True while somebody waits for block `key` and it has not arrived. */
  isWanted(key: string): boolean {
    return this.#waiters.has(key) && !this.#delivering.has(key)
  }

  /**
   * Resolves when block `key` is in the store `into`, with its bytes. While it waits, `cancels` holds its cancel: one
   * set, with one listener on the signal, serves all the blocks of a fetch.
   */
  wait(key: string, into: BlockStore, cancels: Set<Cancel>): Promise<number> {
    return new Promise((resolve, reject) => {
      const cancel: Cancel = (reason) => {
        waiter.reject(reason)
        waiters.delete(waiter)
        // a delivery that has begun serves whoever comes while it lasts, and ends the entry
        if (waiters.size > 0 || this.#delivering.has(key) || this.#waiters.get(key) !== waiters) return
        this.#waiters.delete(key)
        this.#events.onUnwanted(key)
      }
      const waiter: Waiter = {
        into,
        resolve: (bytes) => {
          cancels.delete(cancel)
          resolve(bytes)
        },
        reject: (reason) => {
          cancels.delete(cancel)
          reject(reason)
        },
      }
      const waiters = this.#waiters.get(key) ?? new Set()
      this.#waiters.set(key, waiters.add(waiter))
      cancels.add(cancel)
    })
  }

  /** Puts the block into every store that waits for it; one that comes during a put is served too. */
  async deliver(cid: CID, bytes: Uint8Array): Promise<void> {
    const key = cid.toString()
    const stored = new Set<BlockStore>()
    this.#delivering.add(key)
    for (const waiter of this.#waiters.get(key) ?? []) {
      try {
        if (!stored.has(waiter.into)) await waiter.into.put(cid, bytes)
        stored.add(waiter.into)
        waiter.resolve(bytes.byteLength)
      } catch (error) {
        waiter.reject(error)
      }
    }
    this.#delivering.delete(key)
    this.#waiters.delete(key)
  }

  /** Rejects all who wait for block `key`. */
  fail(key: string, error: Error): void {
    const waiters = this.#waiters.get(key)
    this.#waiters.delete(key)
    for (const waiter of waiters ?? []) waiter.reject(error)
  }
}
