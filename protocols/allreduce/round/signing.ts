/**
 * Who said a word that came by way of others. Where there are several rows, each peer signs what others pass on or show
 * to others, and a relay carries the signature on:
 *
 *     signature over dag-cbor ['starling-allreduce', job, kind, round, what the word says]
 *
 * Lists are named by their digests: a plan of ten thousand peers is hashed once, for its id. The domain keeps a
 * signature from being taken for one of another protocol, the job from being played back in another run. Keys and their
 * arithmetic are the executor's (`MachineInit`).
 */

import { encode as encodeCbor } from '@ipld/dag-cbor'
import { fromHex } from '../../core/fields.ts'
import type { Ballot } from '../plan/electorate.ts'
import { encodeLists, planIdOf } from '../plan/plan-codec.ts'
import { sealIdentity } from '../plan/seal.ts'
import type { MachineInit } from './events.ts'
import type { Word } from './vocabulary.ts'

const domain = 'starling-allreduce'

/**
 * Words that are known to be genuine, and not looked at again when they come by another way: each comes to a peer of a
 * grid twice and more. A round has a dozen.
 */
const genuineMax = 256

type Hash = MachineInit['hash']

export class Signing {
  readonly #init: Pick<MachineInit, 'job' | 'hash' | 'sign' | 'verify'>
  /** Oldest first. */
  readonly #genuine = new Set<string>()

  constructor(init: Pick<MachineInit, 'job' | 'hash' | 'sign' | 'verify'>) {
    this.#init = init
  }

  /** `word` with this peer's signature. */
  sign<W extends Word>(word: W): W {
    const { job, hash, sign } = this.#init
    return { ...word, signature: sign(wordIdentity(job, word, hash)) }
  }

  /** True when `speaker` signed `word`. */
  isGenuine(speaker: string, word: Word): boolean {
    const { job, hash, verify } = this.#init
    const { signature } = word
    if (signature === undefined) return false
    const identity = wordIdentity(job, word, hash)
    const key = hash(encodeCbor([speaker, identity, signature]))
    if (this.#genuine.has(key)) return true
    if (!verify(speaker, identity, signature)) return false
    const [oldest] = this.#genuine
    if (this.#genuine.size >= genuineMax) this.#genuine.delete(oldest!)
    this.#genuine.add(key)
    return true
  }
}

/** What the signature of `word` covers. `hash`: SHA-256 as lower-case hex. */
export function wordIdentity(job: string, word: Word, hash: Hash): Uint8Array {
  return encodeCbor([domain, job, word.kind, word.round, ...contentOf(word, hash)])
}

function contentOf(word: Word, hash: Hash): unknown[] {
  switch (word.kind) {
    case 'Roster':
      return [word.root, word.row, word.leader, fromHex(hash(encodeCbor(encodeLists(word))))]
    case 'Plan':
      return [...numbersOf(word), fromHex(planIdOf(word.plan, hash))]
    case 'Reassign':
      return [...numbersOf(word), fromHex(word.planId), word.parts, word.reducer]
    case 'Prepare':
      return numbersOf(word)
    case 'Seal':
      return [...numbersOf(word), fromHex(hash(sealIdentity(word.planId, word)))]
    case 'Accepted':
      return [...numbersOf(word), fromHex(word.sealDigest)]
  }
}

function numbersOf({ ballot }: { ballot: Ballot }): [number, string] {
  return [ballot.attempt, ballot.leader]
}
