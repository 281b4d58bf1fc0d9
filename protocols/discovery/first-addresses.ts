/**
 * The addresses that a peer is given to begin with, a coordinator's as a rule, and who wants to hear what became of
 * them. They are dialled for ever; a person who waits hears of the first dial that fails, of the first where somebody of
 * another swarm answers, and of the one that does not fail.
 */

import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { SwarmError } from '../core/errors.ts'
import { isOtherSwarmKey } from './other-swarm-key.ts'

/** What became of one. `cause`: what libp2p threw. */
export type FirstAddressNews =
  | { kind: 'missed'; address: string; cause: unknown }
  | { kind: 'reached'; address: string }

export class FirstAddresses {
  /** In their one form as text. */
  readonly addresses: readonly string[]
  /** Those whose last dial failed, and why, as it was told last. */
  readonly #missed = new Map<string, unknown>()
  readonly #listeners = new Set<(news: FirstAddressNews) => void>()

  /** @throws {SwarmError} USAGE when one of `texts` is no multiaddr. */
  constructor(texts: readonly string[]) {
    this.addresses = texts.map((text) => parseAddress(text).toString())
  }

  /**
   * Calls `listener` when an address cannot be reached, at once for those that could not, and when one is that could
   * not; it is dialled on in between, in silence as long as it fails for the same reason: nobody answers, or somebody who
   * has another key of a swarm. Returns a function that takes it back.
   */
  on(listener: (news: FirstAddressNews) => void): () => void {
    for (const [address, cause] of this.#missed) listener({ kind: 'missed', address, cause })
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** A dial of `address` failed; of an address that is not among the first nothing is told. */
  missed(address: string, cause: unknown): void {
    if (!this.addresses.includes(address)) return
    const told = this.#missed.has(address)
    if (told && isOtherSwarmKey(this.#missed.get(address)) === isOtherSwarmKey(cause)) return
    this.#missed.set(address, cause)
    this.#tell({ kind: 'missed', address, cause })
  }

  /** A dial of `address` succeeded. */
  reached(address: string): void {
    if (this.#missed.delete(address)) this.#tell({ kind: 'reached', address })
  }

  /** Nobody hears of anything any more. */
  stop(): void {
    this.#listeners.clear()
  }

  #tell(news: FirstAddressNews): void {
    for (const listener of this.#listeners) listener(news)
  }
}

function parseAddress(text: string): Multiaddr {
  try {
    return multiaddr(text)
  } catch (error) {
    throw new SwarmError('USAGE', `"${text}" is no peer address`, {
      cause: error,
      hint: 'Give a multiaddr such as /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW…; a coordinator prints its own when it starts.',
    })
  }
}
