/**
 * From the sums of the rows to the mean of a part, and to everyone.
 *
 *     row's sum ──Sum──▶ finisher: every row's sum is here, or its reducer is gone or slow ──▶ Finish ──▶ Result
 *     Result ──▶ the finisher's row, and the part's reducers in the other rows ──▶ their rows
 *
 * A row whose reducer of part p is gone is not in the mean of p, and the mean's bitmap and weight say so; its peers
 * pull the mean from another row (`fetching.ts`). A finisher that is gone costs nothing: its column's reducers tell the
 * leader, who names another of them, and hand that one their sums. With one row, reducer and finisher are the same
 * peer.
 */

import { bitCount, hasBit, newBitmap, partCount, partLength } from '../plan/parts.ts'
import { type Plan, weightOf } from '../plan/plan.ts'
import { audienceOf, directoryOf, finisherOf, reducersOf, rowOfPeer } from '../plan/plan-directory.ts'
import type { Event, Inspection } from './events.ts'
import { decodeSum, encodeSum } from './reduction.ts'
import type { BallotPlan, Round } from './round.ts'
import type { Role, Session } from './session.ts'
import { mayStillSend, partTimeoutMs, silenceDueMs } from './timeouts.ts'
import type { Reassign, Result, Sum } from './vocabulary.ts'

/** One row's sum of one part. */
interface RowSum {
  bitmap: Uint8Array
  weight: number
  sum: Float32Array
}

interface Column {
  /** Part → this peer's own sum of it. */
  own: Map<number, RowSum>
  /** Part → row → its sum; dropped once the part is finished. */
  sums: Map<number, Map<number, RowSum>>
  /** Parts that were given to Finish, with the rows that are in. */
  closed: Map<number, readonly number[]>
  /** Rows that sent nothing for too long: not waited for any more. */
  slow: Set<number>
  /** `part row` of sums that were none: their reducer has had its say. */
  refused: Set<string>
  /** Parts whose finisher was reported gone. */
  reported: Map<number, string>
}

export class Finishing implements Role {
  readonly #round: Round
  readonly #session: Session
  readonly #columns = new Map<string, Column>()
  #heardMs = 0

  constructor(round: Round, session: Session) {
    this.#round = round
    this.#session = session
  }

  advance(): void {
    const current = this.#current()
    if (current === undefined) return
    const column = this.#column(current.planId)
    if (this.#session.nowMs >= this.#stuckMs(current)) this.#giveUpOnStuck(current, column)
    for (const part of column.sums.keys()) this.#close(current, column, part)
    this.#reportLost(current, column)
  }

  dueMs(): number {
    const current = this.#current()
    if (current === undefined) return Number.POSITIVE_INFINITY
    const column = this.#column(current.planId)
    const open = [...column.sums.keys()].filter((part) => !column.closed.has(part))
    if (open.length === 0) return Number.POSITIVE_INFINITY
    const reducers = new Set(open.flatMap((part) => reducersOf(current.plan, part)))
    return Math.min(this.#stuckMs(current), silenceDueMs(this.#session, current.plan, reducers))
  }

  /** This peer's row has summed `part`. */
  give(planId: string, part: number, own: RowSum): void {
    const current = this.#current()
    if (current?.planId !== planId) return
    const column = this.#column(planId)
    column.own.set(part, own)
    this.#hand(current, column, part)
  }

  /** A row's sum of a plan that is known here. Returns why it is refused, if it is. */
  receive(from: string, message: Sum, inspection: Inspection): string | undefined {
    const { planId, part, bitmap, weight, bytes } = message
    const plan = this.#round.plans.get(planId)!
    const { partition } = this.#session.init
    if (part >= partCount(partition)) return `part ${part} of ${partCount(partition)}`
    const row = rowOfPeer(plan, from)
    if (row === undefined || !this.#round.isReducer(plan, part, from))
      return 'a sum from a peer that does not reduce it'
    const column = this.#column(planId)
    const fault = sumFault(plan, row, message)
    const sum =
      fault === undefined && inspection.isDecodable
        ? decodeSum(bytes, partLength(partition, part), weight)
        : undefined
    if (sum === undefined) {
      column.refused.add(`${part} ${row}`)
      return `a sum of part ${part} ${fault ?? 'with values that are none'}`
    }
    if (column.closed.has(part)) {
      this.#push(planId, part, [from]) // late: the mean went out without it, and says so
      return undefined
    }
    this.#put(column, part, row, { bitmap, weight, sum })
    return undefined
  }

  /** The mean that a Finish effect asked for. */
  finished({ planId, part, bytes, digest }: Extract<Event, { kind: 'PartFinished' }>): void {
    const plan = this.#round.plans.get(planId)
    const column = this.#columns.get(planId)
    const rows = column?.closed.get(part)
    if (plan === undefined || column === undefined || rows === undefined) return
    const { bitmap } = this.#join(plan, column, part, rows)
    column.sums.delete(part)
    const { number: round } = this.#round
    const message: Result = {
      kind: 'Result',
      round,
      planId,
      part,
      bitmap,
      weight: weightOf(plan, bitmap),
      bytes,
    }
    this.#round.results.add(message, digest, { sender: undefined, isNamed: false })
    this.#round.progressAtMs = this.#session.nowMs
    const own = rowOfPeer(plan, this.#session.self)!
    const others = reducersOf(plan, part).filter((peer, row) => peer !== '' && row !== own)
    // A later leader need not be in the plan that it continues.
    const leader = this.#round.plan?.planId === planId ? [this.#round.plan.ballot.leader] : []
    this.#push(planId, part, [...this.#rowOf(plan, own), ...others, ...leader])
  }

  /** A mean came from the finisher of another row: this peer is the one that hands it to its own. */
  spread(from: string, { planId, part }: Result): void {
    const plan = this.#round.plans.get(planId)!
    const row = rowOfPeer(plan, this.#session.self)
    if (row === undefined || rowOfPeer(plan, from) === row) return
    if (this.#round.isReducer(plan, part, this.#session.self))
      this.#push(planId, part, this.#rowOf(plan, row))
  }

  /**
   * Parts got another finisher: it is handed the sums there are. One that has a mean already, of a finisher that died
   * while it told the column, tells the others: the leader may sit where it has no link to.
   */
  reassigned({ planId, parts, reducer, ballot }: Reassign): void {
    const current = this.#current()
    if (current === undefined || current.planId !== planId) return
    const column = this.#column(planId)
    this.#heardMs = this.#session.nowMs
    for (const part of parts) {
      this.#hand(current, column, part)
      const row = rowOfPeer(current.plan, reducer)
      if (reducer === this.#session.self && row !== undefined && this.#round.results.has(planId, part))
        this.#push(planId, part, [
          ballot.leader,
          ...reducersOf(current.plan, part),
          ...this.#rowOf(current.plan, row),
        ])
    }
  }

  /** After a broken link: what `peer` may have missed. */
  repeatTo(peer: string): void {
    const current = this.#current()
    if (current === undefined) return
    const { plan, planId, ballot } = current
    const column = this.#column(planId)
    const row = rowOfPeer(plan, this.#session.self)
    const isOfRow = row !== undefined && rowOfPeer(plan, peer) === row
    for (const part of column.own.keys()) {
      const isReducer = this.#round.isReducer(plan, part, peer)
      if (this.#round.results.has(planId, part)) {
        if (isOfRow || isReducer || ballot.leader === peer) this.#push(planId, part, [peer])
      } else if (this.#round.finisher(part) === peer) this.#hand(current, column, part)
    }
  }

  /** The round is over: sums are not needed any more. */
  release(): void {
    this.#columns.clear()
  }

  /** Rows' reducers that a part of this finisher still waits for. */
  awaited(): string[] {
    const current = this.#current()
    if (current === undefined) return []
    const column = this.#column(current.planId)
    const open = [...column.sums.keys()].filter((part) => !column.closed.has(part))
    const rows = open.flatMap((part) =>
      this.#waitingFor(current.plan, column, part).map((row) => this.#round.reducer(part, row)!),
    )
    return [...new Set(rows)].sort()
  }

  #current(): BallotPlan | undefined {
    return this.#round.base === undefined ? undefined : this.#round.plan
  }

  #column(planId: string): Column {
    let column = this.#columns.get(planId)
    if (column === undefined) {
      for (const old of this.#columns.keys()) if (!this.#round.plans.has(old)) this.#columns.delete(old)
      column = {
        own: new Map(),
        sums: new Map(),
        closed: new Map(),
        slow: new Set(),
        refused: new Set(),
        reported: new Map(),
      }
      this.#columns.set(planId, column)
    }
    return column
  }

  /** Gives this peer's own sum of `part` to its finisher. */
  #hand({ planId, plan }: BallotPlan, column: Column, part: number): void {
    const own = column.own.get(part)
    const finisher = this.#round.finisher(part)
    if (own === undefined || finisher === undefined || this.#round.results.has(planId, part)) return
    if (finisher === this.#session.self) {
      this.#put(column, part, rowOfPeer(plan, finisher)!, own)
      return
    }
    const { number: round } = this.#round
    const { bitmap, weight, sum } = own
    this.#session.send(finisher, { kind: 'Sum', round, planId, part, bitmap, weight, bytes: encodeSum(sum) })
  }

  #put(column: Column, part: number, row: number, sum: RowSum): void {
    if (column.closed.has(part)) return
    const rows = column.sums.get(part) ?? new Map<number, RowSum>()
    column.sums.set(part, rows)
    rows.set(row, sum)
    this.#heardMs = this.#session.nowMs
  }

  #close({ planId, plan }: BallotPlan, column: Column, part: number): void {
    if (column.closed.has(part) || this.#round.finisher(part) !== this.#session.self) return
    if (this.#waitingFor(plan, column, part).length > 0) return
    const rows = [...column.sums.get(part)!.keys()].sort((a, b) => a - b)
    column.closed.set(part, rows)
    const { bitmap, sums } = this.#join(plan, column, part, rows)
    const weight = weightOf(plan, bitmap)
    this.#session.emit({ kind: 'Finish', round: this.#round.number, planId, part, sums, bitmap, weight })
  }

  #join(
    plan: Plan,
    column: Column,
    part: number,
    rows: readonly number[],
  ): { bitmap: Uint8Array; sums: Float32Array[] } {
    const bitmap = newBitmap(plan.contributors.length)
    const parts = rows.map((row) => column.sums.get(part)!.get(row)!)
    for (const { bitmap: bits } of parts) for (let i = 0; i < bits.length; i++) bitmap[i]! |= bits[i]!
    return { bitmap, sums: parts.map(({ sum }) => sum) }
  }

  /** Rows with updates whose sum may still come. */
  #waitingFor(plan: Plan, column: Column, part: number): number[] {
    const here = column.sums.get(part)
    const rows = directoryOf(plan).contributorsOf.entries()
    const withUpdates = [...rows].filter(([, contributors]) => contributors.length > 0).map(([row]) => row)
    return withUpdates.filter((row) => {
      const reducer = this.#round.reducer(part, row)
      if (reducer === undefined || here?.has(row) || column.slow.has(row)) return false
      if (column.refused.has(`${part} ${row}`)) return false
      return mayStillSend(this.#session, plan, reducer) || this.#session.isExpected(reducer)
    })
  }

  /** When rows that are here and have not sent are waited for no more: nothing has come from any meanwhile. */
  #stuckMs({ plan }: BallotPlan): number {
    return this.#heardMs === 0 ? Number.POSITIVE_INFINITY : this.#heardMs + partTimeoutMs(this.#session, plan)
  }

  #giveUpOnStuck({ plan }: BallotPlan, column: Column): void {
    for (const part of column.sums.keys())
      if (!column.closed.has(part))
        for (const row of this.#waitingFor(plan, column, part)) column.slow.add(row)
    this.#heardMs = this.#session.nowMs
  }

  /**
   * Tells the leader once of each finisher that is gone before its mean was here. Who stands in for another column has
   * a link with the plan's finisher alone: of others it cannot tell.
   */
  #reportLost({ planId, plan, ballot }: BallotPlan, column: Column): void {
    const { number: round, results } = this.#round
    for (const part of column.own.keys()) {
      const finisher = this.#round.finisher(part)
      if (finisher === undefined || results.has(planId, part) || column.reported.get(part) === finisher)
        continue
      if (this.#session.isLive(finisher) || this.#session.isExpected(finisher)) continue
      if (finisher !== finisherOf(plan, part) && !this.#isOfColumn(finisher)) continue
      column.reported.set(part, finisher)
      if (this.#session.isLinked(ballot.leader))
        this.#session.send(ballot.leader, { kind: 'Lacking', round, planId, part })
    }
  }

  #push(planId: string, part: number, peers: readonly string[]): void {
    const held = this.#round.results.get(planId, part)
    if (held === undefined) return
    for (const peer of new Set(peers)) if (peer !== this.#session.self) this.#session.send(peer, held.message)
  }

  /**
   * Who gets means in this peer's row of `plan`. In a grid also mates that are not in the plan: one of them may be the
   * leader's column mate, and so its only way to this row.
   */
  #rowOf(plan: Plan, row: number): string[] {
    const { grid } = this.#round
    const mates = grid.rowCount === 1 ? [] : grid.rowMatesOf(this.#session.self)
    return [...audienceOf(plan, row), ...mates]
  }

  #isOfColumn(peer: string): boolean {
    return this.#round.grid.areColumnMates(this.#session.self, peer)
  }
}

/** Why a sum of `row` cannot be one, by whom it claims to hold. */
function sumFault(plan: Plan, row: number, { bitmap, weight }: Sum): string | undefined {
  const ofRow = directoryOf(plan).contributorsOf[row]!.filter(({ index }) => hasBit(bitmap, index))
  const isOfRow = ofRow.length === bitCount(bitmap, plan.contributors.length)
  if (!isOfRow || weight !== weightOf(plan, bitmap)) return 'that claims a wrong weight'
  return ofRow.length === 0 ? 'of nobody' : undefined
}
