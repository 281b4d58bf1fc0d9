/**
 * Who decides a round: the order of its leaders, the ballots they number, and what makes a quorum.
 *
 * Attempt `a` of a round is led by `leaderOrder(root, electorate)[a mod n]`, so one attempt number names one leader and
 * two leaders never share a ballot. Before anything was agreed on (an empty electorate) any peer may lead; then ballots
 * of one attempt are ordered by leader. Pure arithmetic: who is alive is the machine's business.
 */

import { seedFrom } from '../../core/random.ts'

/** A Paxos ballot number. */
export interface Ballot {
  attempt: number
  leader: string
}

/** Negative when `a` is the lower ballot; a missing ballot is lower than any. */
export function compareBallots(a: Ballot | undefined, b: Ballot | undefined): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined)
  return a.attempt - b.attempt || compareText(a.leader, b.leader)
}

/** A ballot as a map key. */
export function ballotKey({ attempt, leader }: Ballot): string {
  return `${attempt} ${leader}`
}

/** The number by which `peer` is drawn from others where `root` is the drum. */
export function lotOf(root: string, peer: string): number {
  return seedFrom(root, peer) >>> 0
}

/** `peers` in the order in which they lead the attempts of the round that starts from `root`: by hash, ties by id. */
export function leaderOrder(root: string, peers: readonly string[]): string[] {
  const rank = new Map(peers.map((peer) => [peer, lotOf(root, peer)]))
  return [...peers].sort((a, b) => rank.get(a)! - rank.get(b)! || compareText(a, b))
}

/** True when `ballot` may exist: its leader is the one that its attempt names. */
export function isLegalBallot(ballot: Ballot, order: readonly string[]): boolean {
  return order.length === 0 || order[ballot.attempt % order.length] === ballot.leader
}

/**
 * More than half of `order`, or exactly half with the first leader among them: any two quorums share a peer, and two
 * peers of which one dies can still go on half of the time.
 * `order`: the electorate in leader order.
 */
export function isQuorum(order: readonly string[], voters: Iterable<string>): boolean {
  const present = new Set(voters)
  return isQuorumOf(order, (peer) => present.has(peer))
}

/**
 * The same, of the voters that `isPresent` says are there: it is asked at every event, so no more of them than it
 * takes.
 */
export function isQuorumOf(order: readonly string[], isPresent: (peer: string) => boolean): boolean {
  let present = 0
  for (const peer of order) if (isPresent(peer) && 2 * ++present > order.length) return true
  return order.length > 0 && 2 * present === order.length && isPresent(order[0]!)
}

/**
 * The quorum of a first round, which nobody agreed on beforehand: more than half of the plan's `contributors` and at
 * least `peersMin`. Two such rounds of one run can both be decided only when 2 · `peersMin` peers take part.
 */
export function isFoundingQuorum(
  contributors: readonly string[],
  voters: Iterable<string>,
  peersMin: number,
): boolean {
  const members = new Set(contributors)
  const present = new Set([...voters].filter((peer) => members.has(peer)))
  return 2 * present.size > contributors.length && present.size >= peersMin
}

/** Order of text by UTF-16 code units, the same on every platform and locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
