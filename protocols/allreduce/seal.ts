/**
 * The seal of a round: the value that its Paxos decides on. It names the result of every part by digest, and the members:
 * the peers of the plan that the leader saw alive when it sealed, who hold the next state by agreement and decide on the
 * next round. So a peer that died in this round does not count in the next one, and one that merely lost a link does.
 */

import { encode as encodeCbor } from '@ipld/dag-cbor'
import { compareText } from './electorate.ts'
import { fromHex } from './fields.ts'
import { type Plan, partCountOf } from './plan.ts'

export interface SealContent {
  /** Digest of each part's result. */
  digests: readonly string[]
  /** Contributors and receivers of the plan, sorted; not empty. */
  members: readonly string[]
}

/** What the digest of a seal covers. */
export function sealIdentity(planId: string, { digests, members }: SealContent): Uint8Array {
  return encodeCbor({ plan: fromHex(planId), digests: fromHex(...digests), members })
}

/** Why `seal` cannot be a seal of `plan`; undefined when it can. */
export function sealFault(plan: Plan, { digests, members }: SealContent): string | undefined {
  if (digests.length !== partCountOf(plan)) return 'does not name every part'
  const peers = new Set([...plan.contributors, ...plan.receivers].map(({ peer }) => peer))
  const isSorted = members.every((peer, index) => index === 0 || compareText(members[index - 1]!, peer) < 0)
  if (members.length === 0 || !isSorted || !members.every((peer) => peers.has(peer)))
    return 'has wrong members'
  return undefined
}
