/**
 * When a row stops waiting for commits, when the leader stops waiting for rows, and what each then says. Pure functions
 * of the record.
 *
 *     everyone that is here has committed (all rows have reported)         → at once
 *     two thirds have, and `grace` passed since: half the time they took   → without the slow
 *     not even two thirds, but `patience` passed since the first           → without the slow
 *
 * A peer that holds the state but is too slow becomes a receiver: it gets the result, and stays a member. So does every
 * member of a row that is too slow.
 */

import { planPeersMax, rowPeersMax } from '../../core/limits.ts'
import { compareText, isQuorumOf } from '../plan/electorate.ts'
import { rowCountOf } from '../plan/grid.ts'
import { partCount } from '../plan/parts.ts'
import type { Plan, PlanLists, Receiver } from '../plan/plan.ts'
import { shareOut } from '../plan/share-out.ts'
import type { Timing } from './events.ts'
import type { Round } from './round.ts'
import type { Session } from './session.ts'

/** When something that is waited for began to come in, as this peer saw it. */
export class Waiting {
  firstMs = Number.POSITIVE_INFINITY
  twoThirdsMs = Number.POSITIVE_INFINITY

  /**
   * Until when to wait for the rest, when something is here and `count` of `whole` at `nowMs`. `startedAtMs`: when they
   * could begin.
   */
  untilMs(count: number, whole: number, nowMs: number, startedAtMs: number, timing: Timing): number {
    this.firstMs = Math.min(this.firstMs, nowMs)
    if (3 * count >= 2 * whole) this.twoThirdsMs = Math.min(this.twoThirdsMs, nowMs)
    const tookMs = this.firstMs - startedAtMs
    const patienceMs = this.firstMs + Math.max(timing.patienceMs, patienceFactor * tookMs)
    if (this.twoThirdsMs === Number.POSITIVE_INFINITY) return patienceMs
    const halfMs = (this.twoThirdsMs - startedAtMs) / 2
    const graceMs = Math.max(timing.graceMsMin, Math.min(timing.graceMsMax, halfMs))
    return Math.min(this.twoThirdsMs + graceMs, patienceMs)
  }
}

/** Since `patience` is for peers that are alive and stuck, it is this many times what the first commit took. */
const patienceFactor = 4

/**
 * The moment from which this peer's row is ready; Infinity while others must be waited for. `waiting` is brought up to
 * date.
 */
export function readyMs(round: Round, session: Session, waiting: Waiting): number {
  const committed = committers(round, session)
  const awaited = awaitedPeers(round, session)
  const isEnough = round.isFounding
    ? committed.length >= session.init.peersMin
    : committed.length > 0 && isQuorumHere(round, session)
  if (!isEnough) return Number.POSITIVE_INFINITY
  const { nowMs, init } = session
  if (awaited.length === 0) return nowMs
  const members = round.isFounding ? committed : committed.filter((peer) => round.grid.isMember(peer))
  const whole = round.isFounding ? committed.length + awaited.length : rowOf(round, session).length
  return waiting.untilMs(members.length, whole, nowMs, round.startedAtMs, init.timing)
}

/** What this peer's row gives to the round, from what the record holds now. */
export function rosterOf(round: Round, session: Session): PlanLists {
  const { grid } = round
  const { root } = round.base!
  const isAlone = grid.rowCount === 1
  const chosen = committers(round, session)
    .sort((a, b) => Number(grid.isMember(b)) - Number(grid.isMember(a)) || compareText(a, b))
    .slice(0, isAlone ? rowPeersMax : undefined)
  const isChosen = new Set(chosen)
  const here = [session.self, ...session.livePeers()]
    .filter((peer) => isOfRow(round, session, peer))
    .sort(compareText)
  const receiving = here
    .filter((peer) => round.standings.get(peer)?.root === root && !isChosen.has(peer))
    .slice(0, isAlone ? planPeersMax - chosen.length : undefined)
  // also who holds an earlier state: were it to ask for means, the next round would be over when it has them
  const isOnItsWay = (peer: string) => session.isFollowing(peer) || session.isBefore(peer, round.number)
  const following = here
    .filter((peer) => !round.standings.has(peer))
    .filter((peer) => grid.isMember(peer) || isOnItsWay(peer))
    .slice(0, planPeersMax)
  const seatOf = seats(round, session, [...chosen, ...receiving, ...following])
  const bySeat = (a: string, b: string): number => seatOf(a) - seatOf(b)
  return {
    contributors: chosen.sort(bySeat).map((peer) => {
      const { commit, bandwidth, place } = round.standings.get(peer)!
      return {
        peer,
        seat: seatOf(peer),
        weight: commit!.message.weight,
        pace: commit!.message.pace,
        commit: commit!.digest,
        bandwidth,
        place,
      }
    }),
    receivers: receiving.sort(bySeat).map((peer) => {
      const { incarnation, bandwidth, place } = round.standings.get(peer)!
      return { peer, seat: seatOf(peer), incarnation, bandwidth, place }
    }),
    followers: following.sort(bySeat).map((peer) => ({ peer, seat: seatOf(peer) })),
  }
}

/** The plan of what the rows reported (`rosters`: row → lists); a row that did not only receives. */
export function makePlan(round: Round, session: Session, rosters: ReadonlyMap<number, PlanLists>): Plan {
  const { grid } = round
  const { root, electorate } = round.base!
  const lists = joinRows(
    Array.from({ length: grid.rowCount }, (_, row) => rosters.get(row) ?? unheard(round, row)),
  )
  return {
    round: round.number,
    root,
    seats: electorate.length,
    council: [...grid.council].sort(compareText),
    ...lists,
    shares: shareOut(partCount(session.init.partition), electorate.length, lists),
  }
}

/** True when `plan` has more than half of the members that the round started with: two plans that have share one. */
export function isOfMajority({ contributors, receivers, seats }: Plan): boolean {
  const known = receivers.filter(({ incarnation }) => incarnation !== unknownLife)
  const members = [...contributors, ...known].filter(({ seat }) => seat < seats)
  return rowCountOf(seats) === 1 || 2 * members.length > seats
}

/** Stands in a plan for the life of a member that the leader did not hear of. */
const unknownLife = 0

/** A row that did not report in time stays in the run. */
function unheard({ grid }: Round, row: number): PlanLists {
  const receivers = grid.row(row).map((peer): Receiver => {
    return {
      peer,
      seat: grid.seatOf(peer)!,
      incarnation: unknownLife,
      bandwidth: undefined,
      place: undefined,
    }
  })
  return { contributors: [], receivers, followers: [] }
}

/** A guest that is linked with two rows is reported by both: the first counts. */
function joinRows(rows: readonly PlanLists[]): PlanLists {
  const seen = new Set<string>()
  const once = <T extends { peer: string; seat: number }>(lists: readonly (readonly T[])[]): T[] =>
    lists
      .flat()
      .filter(({ peer }) => !seen.has(peer) && seen.add(peer))
      .sort((a, b) => a.seat - b.seat)
  return {
    contributors: once(rows.map(({ contributors }) => contributors)),
    receivers: once(rows.map(({ receivers }) => receivers)),
    followers: once(rows.map(({ followers }) => followers)),
  }
}

/** Seats of `peers`: a member's own; guests get, in order, those after the last that belong to this row. */
function seats(round: Round, session: Session, peers: readonly string[]): (peer: string) => number {
  const { grid } = round
  const count = grid.electorate.length
  const row = grid.rowOf(session.self) ?? 0
  const first = count + ((row - (count % grid.rowCount) + grid.rowCount) % grid.rowCount)
  const guests = peers.filter((peer) => !grid.isMember(peer)).sort(compareText)
  const guestSeats = new Map(guests.map((peer, index) => [peer, first + index * grid.rowCount]))
  return (peer) => grid.seatOf(peer) ?? guestSeats.get(peer)!
}

/** Members of this peer's row. */
function rowOf({ grid }: Round, session: Session): readonly string[] {
  return grid.row(grid.rowOf(session.self) ?? 0)
}

/** `peer` is reported by this peer's row: a member of it, or a guest. */
function isOfRow({ grid }: Round, session: Session, peer: string): boolean {
  return !grid.isMember(peer) || grid.rowOf(peer) === grid.rowOf(session.self)
}

/**
 * Live peers of this row with an update from this round's state. Where there are several rows, only members give
 * updates.
 */
export function committers(round: Round, session: Session): string[] {
  const { grid, standings } = round
  const candidates = grid.rowCount === 1 ? standings.keys() : grid.rowMatesOf(session.self)
  const committed: string[] = []
  for (const peer of candidates) {
    const { commit, root } = standings.get(peer) ?? {}
    if (commit === undefined || commit.message.weight === 0 || root !== round.base!.root) continue
    if (session.isLive(peer)) committed.push(peer)
  }
  return committed
}

/**
 * The contributors of `plan` that are here in the life that the plan names, as far as this peer is linked with them.
 */
export function contributorsHere(round: Round, session: Session, plan: Plan): string[] {
  return plan.contributors
    .filter((contributor) => session.isLive(contributor.peer) && round.isPlannedLife(contributor))
    .map(({ peer }) => peer)
}

/** True when the live councillors are a quorum, or this peer is not one of them and cannot tell. */
export function isQuorumHere(round: Round, session: Session): boolean {
  const { order, grid } = round
  if (grid.rowCount > 1 && !order.includes(session.self)) return true
  return isQuorumOf(deciders(round), (peer) => hasVoice(round, session, peer))
}

/**
 * True when those that are here, without who `isAhead`, can decide the round of one row; one that nobody agreed on yet,
 * when they are enough to found the run, and more than the others.
 */
export function isDecidableWithout(
  round: Round,
  session: Session,
  isAhead: (peer: string) => boolean,
): boolean {
  const isStaying = (peer: string): boolean => !isAhead(peer)
  if (!round.isFounding) {
    const isThere = (peer: string): boolean =>
      hasVoice(round, session, peer) && isStaying(session.speakerOf(peer, round.number))
    return isQuorumOf(deciders(round), isThere)
  }
  const here = [session.self, ...session.livePeers()].filter((peer) => !session.isFollowing(peer))
  const staying = here.filter(isStaying).length
  return staying >= session.init.peersMin && 2 * staying > here.length
}

/** Those whose votes decide, in the order in which they lead: the council, or who was left of it. */
export function deciders({ order, survivors }: Round): readonly string[] {
  return survivors === undefined ? order : order.filter((peer) => survivors.has(peer))
}

/** Whoever votes for `member`, itself or its deputy, is here and can. */
export function hasVoice(round: Round, session: Session, member: string): boolean {
  const speaker = session.speakerOf(member, round.number)
  // A deputy that the last seal named as gone has no vote of its own, and so none to cast for another.
  return round.order.includes(speaker) && canBeCounted(round, session, speaker)
}

/** `peer` is here and, for all that is known, can vote in this round. */
export function canBeCounted(round: Round, session: Session, peer: string): boolean {
  if (!session.isLive(peer) || session.isFollowing(peer)) return false
  const standing = round.standings.get(peer)
  if (standing === undefined) return true
  return standing.root === round.base!.root && (standing.isVoter || round.survivors !== undefined)
}

/** Peers of this row that are here, or on their way, and will commit and have not. */
function awaitedPeers(round: Round, session: Session): string[] {
  const { root } = round.base!
  const candidates = round.isFounding ? [...round.standings.keys()] : rowOf(round, session)
  return candidates.filter((peer) => {
    const standing = round.standings.get(peer)
    if (!session.isLive(peer) && !session.isExpected(peer)) return false
    if (session.isFollowing(peer) || session.isLeaving(peer)) return false
    return standing === undefined || (standing.root === root && standing.commit === undefined)
  })
}
