/**
 * The seal of a round: the value that its Paxos decides on. It names the result of every part by digest, and those of
 * the plan's peers that the leader saw gone when it sealed. All others hold the next state by agreement: they are its
 * electorate (`seating.ts` says in what order). So a peer that died in this round does not count in the next one, and
 * one that merely lost a link does.
 */

import { encode as encodeCbor } from '@ipld/dag-cbor'
import { fromHex } from '../../core/fields.ts'
import { compareText } from './electorate.ts'
import { type Plan, partCountOf } from './plan.ts'

export interface SealContent {
  /** Digest of each part's result. */
  digests: readonly string[]
  /** Contributors and receivers of the plan that are gone, sorted; not all of them. */
  absent: readonly string[]
}

/** What the digest of a seal covers. */
export function sealIdentity(planId: string, { digests, absent }: SealContent): Uint8Array {
  return encodeCbor({ plan: fromHex(planId), digests: fromHex(...digests), absent })
}

/** Why `seal` cannot be a seal of `plan`; undefined when it can. */
export function sealFault(plan: Plan, { digests, absent }: SealContent): string | undefined {
  if (digests.length !== partCountOf(plan)) return 'does not name every part'
  const peers = new Set([...plan.contributors, ...plan.receivers].map(({ peer }) => peer))
  const isSorted = absent.every((peer, index) => index === 0 || compareText(absent[index - 1]!, peer) < 0)
  if (absent.length >= peers.size || !isSorted || !absent.every((peer) => peers.has(peer)))
    return 'names wrong peers as gone'
  return undefined
}
