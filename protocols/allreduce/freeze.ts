/**
 * When the leader stops waiting for commits, and the plan it then makes. Pure functions of the record.
 *
 *     everyone that is here has committed                                  → at once
 *     two thirds have, and `grace` passed since: half the time they took   → without the slow
 *     not even two thirds, but `patience` passed since the first           → without the slow
 *
 * A peer that holds the state but is too slow becomes a receiver: it gets the result, and stays a member.
 */

import { planPeersMax, rowPeersMax } from '../core/limits.ts'
import { compareText, isQuorum } from './electorate.ts'
import type { Timing } from './events.ts'
import { partCount } from './parts.ts'
import { type Plan, shareOut } from './plan.ts'
import type { Round } from './round.ts'
import type { Session } from './session.ts'

/** When committing began in a round, as this peer saw it. */
export class Waiting {
  firstCommitMs = Number.POSITIVE_INFINITY
  twoThirdsMs = Number.POSITIVE_INFINITY
}

/** Since `patience` is for peers that are alive and stuck, it is this many times what the first commit took. */
const patienceFactor = 4

/**
 * The moment from which the plan may be frozen; Infinity while others must be waited for. `waiting` is brought up to date.
 */
export function freezeMs(round: Round, session: Session, waiting: Waiting): number {
  const committed = committers(round, session)
  const awaited = awaitedPeers(round, session)
  const isEnough = round.isFounding
    ? committed.length >= session.init.peersMin
    : committed.length > 0 && isQuorumHere(round, session)
  if (!isEnough) return Number.POSITIVE_INFINITY
  const { nowMs } = session
  if (awaited.length === 0) return nowMs
  const members = round.isFounding
    ? committed
    : committed.filter((peer) => round.base!.electorate.includes(peer))
  const whole = round.isFounding ? committed.length + awaited.length : round.base!.electorate.length
  waiting.firstCommitMs = Math.min(waiting.firstCommitMs, nowMs)
  if (3 * members.length >= 2 * whole) waiting.twoThirdsMs = Math.min(waiting.twoThirdsMs, nowMs)
  return Math.min(
    waiting.twoThirdsMs + grace(round, session.init.timing, waiting),
    patience(round, session, waiting),
  )
}

/** The plan from what the record holds now; at least one commit is there. */
export function makePlan(round: Round, session: Session): Plan {
  const { electorate, root } = round.base!
  const isMember = (peer: string): number => Number(electorate.includes(peer))
  const chosen = committers(round, session)
    .sort((a, b) => isMember(b) - isMember(a) || compareText(a, b))
    .slice(0, rowPeersMax)
    .sort(compareText)
  const contributors = chosen.map((peer) => {
    const { message, digest } = round.standings.get(peer)!.commit!
    return { peer, weight: message.weight, commit: digest, bandwidth: message.bandwidth, pace: message.pace }
  })
  const here = [session.self, ...session.livePeers()].sort(compareText)
  const receivers = here
    .filter((peer) => round.standings.get(peer)?.root === root && !chosen.includes(peer))
    .slice(0, planPeersMax - chosen.length)
    .map((peer) => ({ peer, incarnation: round.standings.get(peer)!.incarnation }))
  const followers = here
    .filter((peer) => !round.standings.has(peer))
    .filter((peer) => session.isFollowing(peer) || electorate.includes(peer))
    .slice(0, planPeersMax)
  return {
    round: round.number,
    root,
    electorate,
    contributors: contributors.map(({ bandwidth, ...contributor }) => contributor),
    receivers,
    followers,
    shares: shareOut(partCount(session.init.partition), contributors),
  }
}

/** Live peers with an update from this round's state. */
export function committers(round: Round, session: Session): string[] {
  return [...round.standings]
    .filter(([peer, { root, commit }]) => {
      return (
        session.isLive(peer) && root === round.base!.root && commit !== undefined && commit.message.weight > 0
      )
    })
    .map(([peer]) => peer)
}

/** The contributors of `plan` that are here in the life that the plan names. */
export function contributorsHere(round: Round, session: Session, plan: Plan): string[] {
  return plan.contributors
    .filter((contributor) => session.isLive(contributor.peer) && round.isPlannedLife(contributor))
    .map(({ peer }) => peer)
}

/** True when the live voters of the electorate are a quorum of it. */
export function isQuorumHere(round: Round, session: Session): boolean {
  const { order, survivors } = round
  const voters = order.filter((peer) => canBeCounted(round, session, peer))
  return isQuorum(survivors === undefined ? order : order.filter((peer) => survivors.has(peer)), voters)
}

/** `peer` is here and, for all that is known, can vote in this round. */
export function canBeCounted(round: Round, session: Session, peer: string): boolean {
  if (!session.isLive(peer) || session.isFollowing(peer)) return false
  const standing = round.standings.get(peer)
  if (standing === undefined) return true
  return standing.root === round.base!.root && (standing.isVoter || round.survivors !== undefined)
}

/** Live peers that will commit and have not. */
function awaitedPeers(round: Round, session: Session): string[] {
  const { root, electorate } = round.base!
  const candidates = round.isFounding ? [...round.standings.keys()] : electorate
  return candidates.filter((peer) => {
    const standing = round.standings.get(peer)
    if (!session.isLive(peer) || session.isFollowing(peer)) return false
    return standing === undefined || (standing.root === root && standing.commit === undefined)
  })
}

function grace(round: Round, timing: Timing, { twoThirdsMs }: Waiting): number {
  if (twoThirdsMs === Number.POSITIVE_INFINITY) return 0
  return Math.max(timing.graceMsMin, Math.min(timing.graceMsMax, (twoThirdsMs - round.startedAtMs) / 2))
}

function patience(round: Round, session: Session, { firstCommitMs }: Waiting): number {
  const tookMs = firstCommitMs - round.startedAtMs
  return firstCommitMs + Math.max(session.init.timing.patienceMs, patienceFactor * tookMs)
}
