/**
 * With whom a peer is linked: every link costs a tab memory, so there are only those that a round needs.
 *
 *     a small run            everybody with everybody
 *     member of a grid       its row, its column, its fellow councillors; the plan's reducers that it hands sums to; its guests,
 *                            as many as `linksMax` leaves room for
 *     the first grid         also the row before, until the round has a plan: that row's votes come from each voter itself,
 *                            and who still counts them would lose the voters with their links
 *     any later grid         also who is linked and not known to have come to its state, until the round has a plan: seats may be
 *                            others, and who missed how the last round ended would have nobody to ask
 *     guest with the state   the row that its id draws
 *     guest without          a few members, drawn by its id
 *
 * Both ends of a link come to it by themselves, since a guest and the members draw the same lots from what gossip tells
 * them.
 */

import { linksMax, rowPeersMax } from '../../core/limits.ts'
import { seedFrom } from '../../core/random.ts'
import { compareText, leaderOrder, lotOf } from '../plan/electorate.ts'
import { Grid } from '../plan/grid.ts'
import { type Plan, partCountOf } from '../plan/plan.ts'
import { finisherOf, reducersOf, rowOfPeer } from '../plan/plan-directory.ts'
import type { Round } from '../round/round.ts'
import type { Neighbours } from './neighbours.ts'
import type { Positions } from './positions.ts'
import type { Rounds } from './rounds.ts'

/** A run of which no more peers are known is a full mesh: one row and as many newcomers. */
const meshPeersMax = 2 * rowPeersMax

/** Guests of one member: as many as its row could have been larger by. The others wait for a round with other lots. */
const guestsMax = rowPeersMax

/** Members that a guest without a state listens to: enough that some stay. */
const hostsPerGuest = 8

/** Asks for other links when the round, its plan or the peers that are known call for them. */
export class Contacts {
  readonly #self: string
  readonly #rounds: Rounds
  readonly #neighbours: Neighbours
  readonly #positions: Positions
  /** Peers of the run; undefined: links are nobody's business here. */
  known: readonly string[] | undefined
  /** What the wanted links were derived from. */
  #derivedFrom: { known: readonly string[]; root: string | undefined; planId: string | undefined } | undefined
  /** What came out: the links of the round, without those that are kept for stragglers. */
  #ofRound: readonly string[] = []
  #stragglers: readonly string[] = []

  constructor(self: string, rounds: Rounds, neighbours: Neighbours, positions: Positions) {
    this.#self = self
    this.#rounds = rounds
    this.#neighbours = neighbours
    this.#positions = positions
  }

  /** The peers to be linked with from now on, if they are others than before. */
  change(nowMs: number): readonly string[] | undefined {
    const { known } = this
    if (known === undefined) return undefined
    const round = this.#roundHeld()
    const before = this.#stragglers
    const isAnew = this.#derive(round, known)
    this.#stragglers = this.#stragglers.filter((peer) => this.#isStraggling(peer, round))
    if (!isAnew && this.#stragglers.length === before.length) return undefined
    const contacts = [...this.#ofRound, ...this.#stragglers].sort(compareText)
    return this.#neighbours.want(contacts, nowMs) ? contacts : undefined
  }

  /** Finds the links of `round`; false when it would find the same as last time. */
  #derive(round: Round | undefined, known: readonly string[]): boolean {
    const root = round?.base?.root
    const planId = round?.plan?.planId
    const last = this.#derivedFrom
    if (last !== undefined && last.known === known && last.root === root && last.planId === planId)
      return false
    this.#derivedFrom = { known, root, planId }
    this.#ofRound = contactsOf({
      self: this.#self,
      root,
      grid: round?.grid ?? new Grid('', []),
      plan: round?.plan?.plan,
      known,
      rowBefore: round !== undefined && this.#isRowNeeded(round) ? this.#neighbours.wanted : [],
    })
    const candidates = last?.root === root ? this.#stragglers : this.#neighbours.live
    const ofRound = new Set(this.#ofRound)
    const others = candidates.filter((peer) => !ofRound.has(peer) && this.#isStraggling(peer, round))
    // By its own lot, so that a straggler that not all have room for is kept by some.
    this.#stragglers = leaderOrder(this.#self, others).slice(0, Math.max(0, linksMax - ofRound.size))
    return true
  }

  /** `peer` is here and may still need what the round before `round` came to. */
  #isStraggling(peer: string, round: Round | undefined): boolean {
    if (round?.base === undefined || round.plan !== undefined || round.grid.rowCount === 1) return false
    return this.#neighbours.isLive(peer) && this.#positions.isBefore(peer, round.number)
  }

  /** The first round of a grid has no plan yet, so somebody may still be at the end of the single row's last one. */
  #isRowNeeded({ number, grid, plan }: Round): boolean {
    if (grid.rowCount === 1 || plan !== undefined) return false
    return this.#rounds.get(number - 1)?.round.grid.rowCount === 1
  }

  /**
   * The round whose state is here. Until it is, that of the round before: others may have begun the new one already,
   * and what they say opens its record, but the links of the last are kept.
   */
  #roundHeld(): Round | undefined {
    const { place, current } = this.#rounds
    if (current?.round.base !== undefined || place === undefined) return current?.round
    return this.#rounds.get(place - 1)?.round ?? current?.round
  }
}

export interface Surroundings {
  self: string
  /** Root of the state that this peer holds, and its grid; undefined without one. */
  root: string | undefined
  grid: Grid
  plan: Plan | undefined
  /** All peers of the run that are known, without this one. */
  known: readonly string[]
  /** The links of the single row that the first round of a grid follows, until that has a plan; else none. */
  rowBefore: readonly string[]
}

/** The peers that this one is to be linked with, sorted. */
export function contactsOf(surroundings: Surroundings): string[] {
  const { self, root, grid, known, rowBefore } = surroundings
  if (grid.rowCount === 1 && known.length < meshPeersMax) return [...known].sort(compareText)
  const wanted = new Set(rowBefore)
  if (grid.electorate.length === 0) {
    for (const peer of beginners(surroundings)) wanted.add(peer)
  } else if (!grid.isMember(self)) {
    for (const peer of grid.row(drawnRow(grid, self))) wanted.add(peer)
  } else {
    for (const peer of grid.rowCount === 1 ? grid.electorate : grid.matesOf(self)) wanted.add(peer)
    for (const peer of partnersIn(surroundings)) wanted.add(peer)
    const room = Math.max(0, Math.min(guestsMax, linksMax - wanted.size))
    for (const peer of guestsOf(root!, grid, self, known).slice(0, room)) wanted.add(peer)
  }
  wanted.delete(self)
  return [...wanted].sort(compareText)
}

/**
 * Nobody agreed on anything yet, or nobody told this peer: the first by lot, and the members that its own lot draws.
 */
function beginners({ self, known }: Surroundings): string[] {
  const inTurn = leaderOrder('founders', [self, ...known])
  const founders = inTurn.slice(0, rowPeersMax)
  return founders.includes(self) ? inTurn.slice(0, meshPeersMax) : [...founders, ...hostsOf(self, known)]
}

/** The row that is to take in a guest with the state. */
function drawnRow(grid: Grid, guest: string): number {
  return (seedFrom(guest, 'row') >>> 0) % grid.rowCount
}

/** The members that are to tell a guest without a state what goes on. */
function hostsOf(guest: string, members: readonly string[]): string[] {
  return leaderOrder(guest, members).slice(0, hostsPerGuest)
}

/**
 * The same lot, drawn from the member's side. It mostly ends at the eighth that comes before it; sorting would cost
 * every member N log N for each guest.
 */
function isHostOf(guest: string, member: string, members: readonly string[]): boolean {
  const own = lotOf(guest, member)
  let before = 0
  for (const other of members) {
    const lot = lotOf(guest, other)
    if ((lot < own || (lot === own && compareText(other, member) < 0)) && ++before === hostsPerGuest)
      return false
  }
  return true
}

/** In the order in which they are let in. */
function guestsOf(root: string, grid: Grid, self: string, known: readonly string[]): string[] {
  const guests = known.filter((peer) => !grid.isMember(peer))
  const own = guests.filter((guest) => {
    return drawnRow(grid, guest) === grid.rowOf(self) || isHostOf(guest, self, grid.electorate)
  })
  return leaderOrder(root, own)
}

/** Peers in other columns that stand in for one of this column, or this one for theirs. */
function partnersIn({ self, plan }: Surroundings): string[] {
  if (plan === undefined) return []
  const row = rowOfPeer(plan, self)
  if (row === undefined) return []
  const partners = new Set<string>()
  for (let part = 0; part < partCountOf(plan); part++) {
    const reducers = reducersOf(plan, part)
    if (reducers[row] !== self) continue
    const finisher = finisherOf(plan, part)!
    if (finisher !== self) partners.add(finisher)
    else for (const reducer of reducers) if (reducer !== '') partners.add(reducer)
  }
  return [...partners]
}
