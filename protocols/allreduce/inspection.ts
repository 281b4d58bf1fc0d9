/**
 * What an executor must find out about a Part, a Sum or a Result before the machine sees it: its digest, and whether it
 * decodes.
 */

import type { Codec } from '../wire/codecs/codec.ts'
import { type Partition, partCount, partLength, resultIdentity } from './plan/parts.ts'
import type { Inspection } from './round/events.ts'
import { decodeSum, isMean, isPart } from './round/reduction.ts'
import { isData, type Message } from './round/vocabulary.ts'

export interface InspectionInit<Digest> {
  partition: Partition
  codec: Codec
  /** SHA-256 as lower-case hex. */
  hash(bytes: Uint8Array): Digest
}

/** The bytes whose digest names `message`; undefined for the messages that need none. */
export function identityOf(message: Message): Uint8Array | undefined {
  if (message.kind === 'Part') return message.bytes
  return message.kind === 'Result' ? resultIdentity(message) : undefined
}

/** True when the bytes of a Part, a Sum or a Result are an encoding of the part they claim to be. */
export function isDecodable(
  message: Message,
  { partition, codec }: Omit<InspectionInit<unknown>, 'hash'>,
): boolean {
  if (!isData(message)) return true
  const { part, bytes } = message
  if (part >= partCount(partition)) return false
  const length = partLength(partition, part)
  if (message.kind === 'Sum') return decodeSum(bytes, length, message.weight) !== undefined
  if (message.kind === 'Result') return isMean(codec, bytes, length)
  return isPart(codec, bytes, length)
}

/** The inspection of `message`, with a hash that answers at once; undefined for the messages that need none. */
export function inspect(message: Message, init: InspectionInit<string>): Inspection | undefined {
  if (!isData(message)) return undefined
  const identity = identityOf(message)
  return {
    digest: identity === undefined ? '' : init.hash(identity),
    isDecodable: isDecodable(message, init),
  }
}
