/**
 * The wire between simulated peers: every message is encoded and decoded as on a real link, but once for all its
 * receivers, which are in one process here. Machines do not change what they receive, so they can share it.
 */

import { sha256 } from '@noble/hashes/sha2.js'
import { inspect } from '../protocols/allreduce/inspection.ts'
import { decodeMessage, encodeMessage } from '../protocols/allreduce/messages.ts'
import type { Partition } from '../protocols/allreduce/plan/parts.ts'
import type { Inspection } from '../protocols/allreduce/round/events.ts'
import type { Message, Relay } from '../protocols/allreduce/round/vocabulary.ts'
import { toHex } from '../protocols/core/fields.ts'
import type { Codec } from '../protocols/wire/codecs/codec.ts'

export interface Decoded {
  message: Message
  inspection: Inspection | undefined
}

export class SharedWire {
  readonly #init: { partition: Partition; codec: Codec }
  readonly #encoded = new WeakMap<Message, Uint8Array>()
  /** Message → who said it → the relay. */
  readonly #relays = new WeakMap<Message, Map<string, Relay>>()
  readonly #decoded = new WeakMap<Uint8Array, Decoded>()

  constructor(init: { partition: Partition; codec: Codec }) {
    this.#init = init
  }

  encode(message: Message): Uint8Array {
    const shared = message.kind === 'Relay' ? this.#relayLike(message) : message
    const known = this.#encoded.get(shared)
    if (known !== undefined) return known
    const bytes = encodeMessage(shared)
    this.#encoded.set(shared, bytes)
    return bytes
  }

  decode(bytes: Uint8Array): Decoded {
    const known = this.#decoded.get(bytes)
    if (known !== undefined) return known
    const message = decodeMessage(bytes)
    const hash = (data: Uint8Array): string => toHex(sha256(data))
    const decoded = { message, inspection: inspect(message, { ...this.#init, hash }) }
    this.#decoded.set(bytes, decoded)
    return decoded
  }

  /** The first relay of the same word: every peer of a row or a column passes it on, each with a relay of its own. */
  #relayLike(relay: Relay): Relay {
    const relays = this.#relays.get(relay.message) ?? new Map<string, Relay>()
    this.#relays.set(relay.message, relays)
    const first = relays.get(relay.origin) ?? relay
    relays.set(relay.origin, first)
    return first
  }
}
