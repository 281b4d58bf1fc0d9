/**
 * Which state a peer that is behind asks for, by where the others say they stand:
 *
 *     gossip          everybody, a quarter of a second late and more
 *     linked peers    a few, and as they get there: rounds can be shorter than gossip's pauses
 *
 * It is the latest of which another peer says that it has come as far: where rounds are short hardly two peers name one
 * state at a time, and a lone claim to be further than all costs a liar nothing, and whoever believes it five seconds.
 * Two that lie together can name a far state, and a new root each time: so before all else comes what is claimed by
 * whoever was wrong least often. Who holds what the run starts from has come nowhere. Of one round it is the rule by
 * which allreduce judges who is behind: the state that most peers hold, of equals the lesser root.
 */

import { roundsKept } from '../core/limits.ts'
import type { Standing } from './ports.ts'

/** A state that somebody says it holds. */
export type Claim = Pick<Standing, 'round' | 'root'>

/** A state that peers say they hold. */
export interface Target extends Claim {
  peers: string[]
}

/** Of two accounts of where each peer stands the further one. */
export function furthestOf(
  gossip: ReadonlyMap<string, Claim>,
  linked: ReadonlyMap<string, Claim>,
): Map<string, Claim> {
  const furthest = new Map(gossip)
  for (const [peer, claim] of linked)
    if (claim.round >= (furthest.get(peer)?.round ?? 0)) furthest.set(peer, claim)
  return furthest
}

/** What was asked for in vain. */
export interface Failures {
  /** Roots that could not be had, or led nowhere, since all others had. */
  roots: Set<string>
  /** Peer → states that it claimed and that could not be had. */
  byPeer: Map<string, number>
}

/**
 * What there is to fetch beyond round `beyond` and was not asked for in vain, in the order in which it is tried: what
 * the least doubtful peers claim before all else.
 */
export function targetsAmong(
  claims: ReadonlyMap<string, Claim>,
  { roots, byPeer }: Failures,
  beyond: number,
): Target[] {
  const targets = new Map<string, Target>()
  for (const [peer, { round, root }] of claims) {
    if (round <= beyond || roots.has(root)) continue
    const target = targets.get(root) ?? { round, root, peers: [] }
    target.peers.push(peer)
    targets.set(root, target)
  }
  const doubt = ({ peers }: Target): number => Math.min(...peers.map((peer) => byPeer.get(peer) ?? 0))
  const [furthest = 0, reached = furthest] = roundsOf(claims.values()).sort((a, b) => b - a)
  return [...targets.values()].sort(
    (a, b) =>
      doubt(a) - doubt(b) ||
      Number(a.round > reached) - Number(b.round > reached) ||
      b.round - a.round ||
      b.peers.length - a.peers.length ||
      (a.root < b.root ? -1 : 1),
  )
}

/** Most are so far beyond `round` that allreduce would call whoever holds its state behind at once. */
export function isLeftBehind(
  claims: ReadonlyMap<string, Claim>,
  failed: ReadonlySet<string>,
  round: number,
): boolean {
  const rounds = roundsOf([...claims.values()].filter(({ root }) => !failed.has(root)))
  return 2 * rounds.filter((other) => other > round + roundsKept).length > rounds.length
}

/** Where those stand that have come anywhere. */
function roundsOf(claims: Iterable<Claim>): number[] {
  return [...claims].map(({ round }) => round).filter((round) => round > 0)
}
