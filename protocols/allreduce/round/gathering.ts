/**
 * From commits to rosters: each row watches its own, and tells the leader when it is ready.
 *
 *     row 0   commits ──▶ reporter ─┐
 *     row 1   commits ──▶ reporter ─┼─ Roster ──▶ leader, of its own row ──all rows, or two thirds and a grace──▶ Plan
 *     row 2   commits ──▶ reporter ─┘
 *
 * The *reporter* of a row is whoever sits in the leader's column, so the two are linked anyway; should it be gone, the
 * next column's peer reports to the leader's row mate in that column, who passes it on (`passing.ts`). Every peer can
 * tell from what it sees whether it is the reporter; two that think so do no harm. The mate may be gone as well, which
 * only its column sees: so while there is no plan the next column reports too, every two seconds (`wantMs`) another.
 * With one row there is nobody to report to.
 */

import type { Plan, PlanLists } from '../plan/plan.ts'
import { makePlan, readyMs, rosterOf, Waiting } from './freeze.ts'
import type { Round } from './round.ts'
import type { Role, Session } from './session.ts'
import type { Roster } from './vocabulary.ts'

export class Gathering implements Role {
  readonly #round: Round
  readonly #session: Session
  /** Who leads now, as far as this peer knows. */
  readonly #leader: () => string | undefined
  readonly #row = new Waiting()
  readonly #rows = new Waiting()
  /** What other rows told this peer as leader. */
  readonly #rosters = new Map<number, PlanLists>()
  #readyMs = Number.POSITIVE_INFINITY
  #told: Roster | undefined
  /** Since when this row is ready for the leader there is, and when it is this peer's turn to say so. */
  #waited: { leader: string; sinceMs: number } | undefined
  #turnMs = Number.POSITIVE_INFINITY

  constructor(round: Round, session: Session, leader: () => string | undefined) {
    this.#round = round
    this.#session = session
    this.#leader = leader
  }

  advance(): void {
    this.look()
    this.#turnMs = Number.POSITIVE_INFINITY
    if (this.#session.nowMs >= this.#readyMs) this.#report()
  }

  /** Only while time alone can make the row ready: otherwise a commit will. */
  dueMs(): number {
    return this.#readyMs > this.#session.nowMs ? this.#readyMs : this.#turnMs
  }

  /** The moment from which this peer, as leader, may freeze the plan; Infinity while others must be waited for. */
  freezeMs(): number {
    const { grid, startedAtMs } = this.#round
    if (grid.rowCount === 1) return this.#readyMs
    const { nowMs, init } = this.#session
    const isOwnReady = nowMs >= this.#readyMs
    const count = this.#rosters.size + Number(isOwnReady)
    if (count === 0) return Number.POSITIVE_INFINITY
    return count === grid.rowCount
      ? nowMs
      : this.#rows.untilMs(count, grid.rowCount, nowMs, startedAtMs, init.timing)
  }

  /** The plan from what is known now. */
  plan(): Plan {
    const { grid } = this.#round
    const own = rosterOf(this.#round, this.#session)
    const rosters = new Map(this.#rosters)
    if (own.contributors.length > 0) rosters.set(grid.rowOf(this.#session.self) ?? 0, own)
    return makePlan(this.#round, this.#session, rosters)
  }

  /** Another row's roster. Returns why it is refused, if it is. */
  roster(from: string, message: Roster): string | undefined {
    const { grid, base } = this.#round
    if (base === undefined || message.leader !== this.#session.self) return undefined
    if (message.root !== base.root) return 'a roster of another state'
    if (grid.rowOf(from) !== message.row) return 'a roster of another row'
    const isOfRow = message.contributors.every(({ peer, seat }) => {
      return grid.seatOf(peer) === seat && grid.rowOf(peer) === message.row
    })
    if (!isOfRow) return 'a roster with updates from elsewhere'
    if (this.#rosters.size === 0) this.#round.progressAtMs = this.#session.nowMs
    this.#rosters.set(message.row, message)
    return undefined
  }

  /** After a broken link: what this peer reported. */
  repeatTo(peer: string): void {
    const roster = this.#told
    if (roster === undefined || this.#round.plan !== undefined || this.#office(roster.leader) !== peer) return
    this.#session.send(peer, roster)
  }

  /** Looks at the row again: a leader calls it when it has just given up the plan there was. */
  look(): void {
    const { base, plan } = this.#round
    this.#readyMs =
      base === undefined || plan !== undefined
        ? Number.POSITIVE_INFINITY
        : readyMs(this.#round, this.#session, this.#row)
  }

  #report(): void {
    const { grid, base, number: round } = this.#round
    const { self } = this.#session
    const leader = this.#leader()
    const row = grid.rowOf(self)
    if (grid.rowCount === 1 || leader === undefined || row === undefined || row === grid.rowOf(leader)) return
    const office = this.#office(leader)
    if (this.#told?.leader === leader || office === undefined || !grid.isMember(self)) return
    const { nowMs, init } = this.#session
    if (this.#waited?.leader !== leader) this.#waited = { leader, sinceMs: nowMs }
    const turnMs = this.#waited.sinceMs + this.#columnsBefore(leader) * init.timing.wantMs
    if (nowMs < turnMs) {
      this.#turnMs = turnMs
      return
    }
    this.#told = this.#session.signed(this.#round, {
      kind: 'Roster',
      round,
      root: base!.root,
      row,
      leader,
      ...rosterOf(this.#round, this.#session),
    })
    this.#session.send(office, this.#told)
  }

  /** Where this peer would hand in its roster; undefined when it sits in no column. */
  #office(leader: string): string | undefined {
    const { grid } = this.#round
    const own = grid.columnOf(this.#session.self)
    return own === undefined ? undefined : grid.at(grid.rowOf(leader)!, own)
  }

  /** How many of this row's peers that are here come before this one, counted from the leader's column. */
  #columnsBefore(leader: string): number {
    const { grid } = this.#round
    const { self } = this.#session
    const row = grid.rowOf(self)!
    const own = grid.columnOf(self)!
    let before = 0
    for (let column = grid.columnOf(leader) ?? own; column !== own; column = (column + 1) % grid.columnCount)
      if (this.#session.isLive(grid.at(row, column))) before++
    return before
  }
}
