/**
 * The plan of a round: who contributes, who only receives, and who sums which parts. One peer (the attempt's leader)
 * makes it from the commits that arrived; all others take it as it is, so there is nothing to agree on but its id.
 *
 *     parts      0 1 2 3 4 5 6 7 8 9          fixed slices of the flat update
 *     shares     └─ a ─┘ └─ b ─┘ └c┘          runs of consecutive parts, one run for each reducer
 *
 * The attempt is no part of the plan: a later leader can continue it under the same id. Who is in time for the plan is
 * decided in `freeze.ts`.
 */

import { encode as encodeCbor } from '@ipld/dag-cbor'
import { partsMax, planPeersMax, roundsMax, roundWeightMax, rowPeersMax } from '../core/limits.ts'
import { compareText } from './electorate.ts'
import { type Fields, fromHex } from './fields.ts'
import { decodePace, encodePace, type Pace } from './pace.ts'
import { balanceShares } from './shares.ts'

export interface Contributor {
  peer: string
  /** Samples behind its update, > 0. */
  weight: number
  /** Digest of its commit: which update, by which incarnation. */
  commit: string
  /** As its commit says. */
  pace?: Pace | undefined
}

export interface Receiver {
  peer: string
  incarnation: number
}

/** A run of consecutive parts that one peer sums. */
export interface Share {
  reducer: string
  firstPart: number
  partCount: number
}

export interface Plan {
  round: number
  /** Root of the state that the round starts from. */
  root: string
  /** The peers that hold that state by agreement, sorted; empty before the first agreement. */
  electorate: readonly string[]
  /** Sorted by peer. Bit `i` of a result's bitmap is contributor `i`. */
  contributors: readonly Contributor[]
  /** Peers that hold the state and get the results without giving an update, sorted by peer. */
  receivers: readonly Receiver[]
  /** Peers that have no state yet and get the results too, sorted. */
  followers: readonly string[]
  /** Consecutive, from part 0 to the last. */
  shares: readonly Share[]
}

/** A committer as the leader sees it. */
export interface Committer extends Contributor {
  /** Bytes per second; 0: cannot reduce; undefined: unknown. */
  bandwidth: number | undefined
}

/** Shares for `committers` (sorted by peer), at most twice the fair share for one; nobody can: then all share alike. */
export function shareOut(partCount: number, committers: readonly Committer[]): Share[] {
  const bandwidths = committers.map(({ bandwidth }) => bandwidth)
  const usable = bandwidths.some((bandwidth) => bandwidth !== 0)
    ? bandwidths
    : bandwidths.map(() => undefined)
  const counts = balanceShares(partCount, usable, { fractionMax: Math.min(1, 2 / committers.length) })
  let firstPart = 0
  const shares: Share[] = []
  committers.forEach(({ peer }, index) => {
    const count = counts[index]!
    if (count > 0) shares.push({ reducer: peer, firstPart, partCount: count })
    firstPart += count
  })
  return shares
}

/** What a plan's id is the SHA-256 of: its canonical dag-cbor. */
export function planIdentity(plan: Plan): Uint8Array {
  return encodeCbor(encodePlan(plan))
}

/** The reducer of `part` under the plan's shares. */
export function reducerOf(plan: Plan, part: number): string | undefined {
  return plan.shares.find(({ firstPart, partCount }) => part >= firstPart && part < firstPart + partCount)
    ?.reducer
}

/** Parts of the plan's vector. */
export function partCountOf(plan: Plan): number {
  return plan.shares.reduce((sum, { partCount }) => sum + partCount, 0)
}

/** Why `plan` cannot be right, whoever made it; undefined when its lists are sorted and its shares cover `partCount` parts. */
export function planFault(plan: Plan, partCount: number): string | undefined {
  const peers = plan.contributors.map(({ peer }) => peer)
  if (peers.length === 0) return 'no contributors'
  if (plan.contributors.some(({ weight }) => !(weight > 0))) return 'a contributor without weight'
  const lists = [plan.electorate, peers, plan.receivers.map(({ peer }) => peer), plan.followers]
  if (!lists.every(isStrictlySorted)) return 'a list is not sorted or names a peer twice'
  if (new Set(lists.slice(1).flat()).size !== lists.slice(1).flat().length) return 'a peer in two lists'
  let next = 0
  for (const { reducer, firstPart, partCount: count } of plan.shares) {
    if (firstPart !== next || count < 1 || !peers.includes(reducer))
      return 'shares that do not follow each other'
    next += count
  }
  return next === partCount ? undefined : `shares of ${next} parts for ${partCount}`
}

/**
 * The parts in the order in which contributor number `index` sends them: one of each share in turn, starting at its own
 * place, so that every reducer gets data from the start and no two contributors begin with the same reducer.
 */
export function sendingOrder(plan: Plan, index: number): { part: number; reducer: string }[] {
  const { shares } = plan
  const longest = Math.max(...shares.map(({ partCount }) => partCount))
  const order: { part: number; reducer: string }[] = []
  for (let offset = 0; offset < longest; offset++) {
    for (let turn = 0; turn < shares.length; turn++) {
      const { reducer, firstPart, partCount } = shares[(index + turn) % shares.length]!
      if (offset < partCount) order.push({ part: firstPart + offset, reducer })
    }
  }
  return order
}

/** Everyone that gets the results of `plan`. */
export function audienceOf(plan: Plan): string[] {
  return [
    ...plan.contributors.map(({ peer }) => peer),
    ...plan.receivers.map(({ peer }) => peer),
    ...plan.followers,
  ]
}

function isStrictlySorted(ids: readonly string[]): boolean {
  return ids.every((id, index) => index === 0 || compareText(ids[index - 1]!, id) < 0)
}

/** The canonical map of a plan: what its id is the hash of. */
export function encodePlan(plan: Plan): Record<string, unknown> {
  return {
    round: plan.round,
    root: plan.root,
    electorate: plan.electorate,
    contributors: plan.contributors.map(({ peer, weight, commit, pace }) => ({
      peer,
      weight,
      commit: fromHex(commit),
      ...encodePace(pace),
    })),
    receivers: plan.receivers.map(({ peer, incarnation }) => ({ peer, incarnation })),
    followers: plan.followers,
    shares: plan.shares.map(({ reducer, firstPart, partCount }) => ({ reducer, firstPart, partCount })),
  }
}

/**
 * The plan in the fields of a received map.
 * @throws {SwarmError} MESSAGE_INVALID naming the field that is wrong.
 */
export function decodePlan(f: Fields): Plan {
  return {
    round: f.integer('round', roundsMax),
    root: f.id('root'),
    electorate: f.ids('electorate', planPeersMax),
    contributors: f.list('contributors', rowPeersMax, (c) => ({
      peer: c.id('peer'),
      weight: c.quantity('weight', roundWeightMax),
      commit: c.digest('commit'),
      ...decodePace(c),
    })),
    receivers: f.list('receivers', planPeersMax, (r) => ({
      peer: r.id('peer'),
      incarnation: r.integer('incarnation', 2 ** 32),
    })),
    followers: f.ids('followers', planPeersMax),
    shares: f.list('shares', rowPeersMax, (s) => ({
      reducer: s.id('reducer'),
      firstPart: s.integer('firstPart', partsMax),
      partCount: s.integer('partCount', partsMax),
    })),
  }
}
