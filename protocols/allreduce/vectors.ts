/**
 * What a peer does with the numbers and bytes of a run: cuts and codes its updates, hashes, sums, divides, and decodes
 * what a round came to. Arithmetic on the processor, the same bits on every platform; nothing is sent here and nothing
 * decided.
 */

import { bytesToHex } from '@noble/hashes/utils.js'
import { sha256 } from 'multiformats/hashes/sha2'
import type { Codec } from '../wire/codecs/codec.ts'
import { codecFor } from '../wire/codecs/index.ts'
import { identityOf, isDecodable } from './inspection.ts'
import type { Offer, Slice } from './options.ts'
import {
  encodeParts,
  hasBit,
  type Partition,
  type Parts,
  partCount,
  partLength,
  partOf,
  partsOfUpdate,
  resultIdentity,
  subtractSent,
} from './plan/parts.ts'
import type { CommittedRound, Effect, Inspection } from './round/events.ts'
import { finishPart, type RowReduction, sumRow } from './round/reduction.ts'
import { isData, type Message } from './round/vocabulary.ts'

export class Vectors {
  /** The job's: that of means, and of updates that name no coarser one. */
  readonly codec: Codec
  readonly partition: Partition

  constructor(codec: Codec, partition: Partition) {
    this.codec = codec
    this.partition = partition
  }

  /**
   * The encoded parts of an update, and the SHA-256 of each; fills the offer's residual.
   * @throws {SwarmError} PART_INVALID when a value is not finite; `residual` is then as it was.
   */
  async encode({ update, codec: coarser, residual }: Pick<Offer, 'update' | 'codec' | 'residual'>): Promise<{
    parts: Parts
    digests: string[]
  }> {
    const codec = coarser === undefined ? this.codec : codecFor(coarser)
    const parts = this.#code(update, codec, residual)
    const scratch = new Uint8Array(codec.encodedBytes(partLength(this.partition, 0)))
    const digests: string[] = []
    for (let part = 0; part < partCount(this.partition); part++)
      digests.push(await hexDigest(parts.at(part, scratch)!))
    return { parts, digests }
  }

  /** What the machine must know of a message that carries values; undefined for the others. */
  async inspect(message: Message): Promise<Inspection | undefined> {
    if (!isData(message)) return undefined
    const identity = identityOf(message)
    const digest = identity === undefined ? '' : await hexDigest(identity)
    return { digest, isDecodable: isDecodable(message, this) }
  }

  /** A Reduce effect's sum. */
  sum({ part, inputs }: Extract<Effect, { kind: 'Reduce' }>): RowReduction {
    return sumRow(this.codec, partLength(this.partition, part), inputs)
  }

  /** A Finish effect's mean, encoded, and the digest of its identity. */
  async finish(effect: Extract<Effect, { kind: 'Finish' }>): Promise<{ bytes: Uint8Array; digest: string }> {
    const { planId, part, sums, bitmap, weight } = effect
    const bytes = finishPart(this.codec, sums, weight)
    return { bytes, digest: await hexDigest(resultIdentity({ planId, part, weight, bitmap, bytes })) }
  }

  /** Fills `average` (f32[elements]) with the mean of all parts, and returns it. */
  average(
    { parts }: CommittedRound,
    average: Float32Array = new Float32Array(this.partition.elements),
  ): Float32Array {
    for (const [part, { bytes }] of parts.entries())
      this.codec.decode(bytes, partOf(average, this.partition, part))
    return average
  }

  /** Slices of `peer`'s update that are not in the mean; all of it when it gave none. */
  omitted({ plan, parts }: CommittedRound, peer: string): Slice[] {
    const { elements, partElements } = this.partition
    const index = plan.contributors.findIndex((contributor) => contributor.peer === peer)
    if (index < 0) return [{ start: 0, end: elements }]
    return parts.flatMap(({ bitmap }, part) => {
      const start = part * partElements
      return hasBit(bitmap, index) ? [] : [{ start, end: start + partLength(this.partition, part) }]
    })
  }

  #code(update: Float32Array, codec: Codec, residual: Float32Array | undefined): Parts {
    const { partition } = this
    if (residual === undefined) return partsOfUpdate(update, partition, codec)
    const parts = encodeParts(update, partition, codec)
    subtractSent(update, parts, { partition, codec }, residual)
    return parts
  }
}

async function hexDigest(bytes: Uint8Array): Promise<string> {
  return bytesToHex((await sha256.digest(bytes)).digest)
}
