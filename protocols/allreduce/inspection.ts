/** What an executor must find out about a Part or a Result before the machine sees it: its digest, and whether it decodes. */

import type { Codec } from '../wire/codecs/codec.ts'
import type { Inspection } from './events.ts'
import { type Partition, partCount, partLength, resultIdentity } from './parts.ts'
import { decodePart } from './reduction.ts'
import type { Message } from './vocabulary.ts'

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

/** True when a Part's or a Result's bytes are an encoding of the part they claim to be. */
export function isDecodable(
  message: Message,
  { partition, codec }: Omit<InspectionInit<unknown>, 'hash'>,
): boolean {
  if (message.kind !== 'Part' && message.kind !== 'Result') return true
  const { part, bytes } = message
  return (
    part < partCount(partition) && decodePart(codec, bytes, new Float32Array(partLength(partition, part)))
  )
}

/** The inspection of `message`, with a hash that answers at once; undefined for the messages that need none. */
export function inspect(message: Message, init: InspectionInit<string>): Inspection | undefined {
  const identity = identityOf(message)
  return identity && { digest: init.hash(identity), isDecodable: isDecodable(message, init) }
}
