/**
 * What comes out of a planned round whose peers die at given moments, and what each of them sends for it.
 *
 *     moment  0 ───────────── time of the round ───────────── 1
 *     sender  parts in its sending order, at an even pace: dead at ¼, it counts for the first quarter of them
 *     reducer the k-th part of its share is summed when every sender of its row has sent k parts of each share
 *
 * The rules are the protocol's (reducing.ts, finishing.ts), here as arithmetic, since thousands of machines would take
 * hours; test/simulation/reduce-plan.test.ts compares the two. A row whose reducer dies before it handed its sum in is
 * not in that part's mean, and the mean says with what weight it was made; a finisher that dies is replaced by another
 * reducer of its column; where there is one row, a dead reducer's part is given to another peer, and all that are alive
 * send it again.
 */

import { rowCountOf } from '../../protocols/allreduce/plan/grid.ts'
import {
  type Plan,
  partCountOf,
  rowIn,
  type Share,
  sendingOrder,
} from '../../protocols/allreduce/plan/plan.ts'
import { finisherOf } from '../../protocols/allreduce/plan/plan-directory.ts'

/** By seat: when a peer dies, as a fraction of the round; Infinity when it lives. */
export type Moments = Float64Array

export interface Outcome {
  /** The mean of each part. */
  mean: Float64Array
  /** The weight behind each part's mean, at most that of all contributors. */
  weight: Float64Array
  /** By seat: parts sent, whether of updates, sums or means. */
  partsSent: Float64Array
  /** By seat: how many of them are sums, which are f32 whatever the codec. */
  sumsSent: Float64Array
}

/**
 * Averages `values` (f64[seats · parts], by seat; one number stands for a part) as `plan` says. At least one
 * contributor lives.
 */
export function reducePlan(plan: Plan, values: Float64Array, moments: Moments): Outcome {
  const tables = new Tables(plan, moments)
  for (const [index, contributor] of plan.contributors.entries()) {
    const { seat } = contributor
    const row = rowIn(plan, contributor)
    const order = sendingOrder(plan, index)
    const count = Math.min(order.length, Math.floor(moments[seat]! * order.length))
    for (let sent = 0; sent < count; sent++) {
      const part = order[sent]!
      tables.add({ row, part, seat, weight: contributor.weight, value: values[seat * tables.parts + part]! })
    }
  }
  const { parts, partsSent, sumsSent } = tables
  const mean = new Float64Array(parts)
  const weight = new Float64Array(parts)
  const longest = Math.max(...plan.shares.map(({ partCount }) => partCount))
  for (const share of plan.shares) {
    for (let turn = 0; turn < share.partCount; turn++) {
      const part = share.firstPart + turn
      const rows = tables.rowsIn(share, (turn + 1) / longest)
      if (rows.length === 0) tables.sendAgain(part, values)
      const total = rows.length === 0 ? tables.again : tables.sumOf(rows, part)
      mean[part] = total.value / total.weight
      weight[part] = total.weight
      tables.spread(share, part, rows)
    }
  }
  return { mean, weight, partsSent, sumsSent }
}

interface Total {
  value: number
  weight: number
}

/** The sums of all rows and parts, and who sent what for them. */
class Tables {
  readonly parts: number
  readonly partsSent: Float64Array
  readonly sumsSent: Float64Array
  /** The sum of a part that all live peers sent a second time. */
  again: Total = { value: 0, weight: 0 }
  readonly #plan: Plan
  readonly #moments: Moments
  readonly #rows: number
  readonly #sums: Float64Array
  readonly #weights: Float64Array
  readonly #seats: ReadonlyMap<string, number>
  /** Part → row → seat of its reducer; -1 for none. */
  readonly #reducers: Int32Array
  /** Row → live peers that get its means, contributors and receivers. */
  readonly #audiences: Float64Array

  constructor(plan: Plan, moments: Moments) {
    this.#plan = plan
    this.#moments = moments
    this.parts = partCountOf(plan)
    this.#rows = rowCountOf(plan.seats)
    this.#sums = new Float64Array(this.#rows * this.parts)
    this.#weights = new Float64Array(this.#rows * this.parts)
    this.#seats = new Map(plan.contributors.map(({ peer, seat }) => [peer, seat]))
    this.partsSent = new Float64Array(plan.seats)
    this.sumsSent = new Float64Array(plan.seats)
    this.#reducers = new Int32Array(this.parts * this.#rows).fill(-1)
    for (const { firstPart, partCount, reducers } of plan.shares)
      for (let part = firstPart; part < firstPart + partCount; part++)
        for (const [row, peer] of reducers.entries())
          this.#reducers[part * this.#rows + row] = this.#seats.get(peer) ?? -1
    this.#audiences = new Float64Array(this.#rows)
    for (const seated of [...plan.contributors, ...plan.receivers])
      if (this.#lives(seated.seat, 1)) this.#audiences[rowIn(plan, seated)]!++
  }

  /** One contributor's part, on its way to its row's reducer. */
  add({ row, part, seat, weight, value }: { row: number; part: number; seat: number } & Total): void {
    const cell = row * this.parts + part
    this.#sums[cell]! += weight * value
    this.#weights[cell]! += weight
    if (this.#reducers[part * this.#rows + row] !== seat) this.partsSent[seat]!++
  }

  /** The rows whose reducer of `share` has handed in its sum by `moment`. */
  rowsIn({ reducers }: Share, moment: number): number[] {
    return [...reducers.keys()].filter((row) => {
      const seat = this.#seats.get(reducers[row]!)
      return seat !== undefined && this.#lives(seat, moment)
    })
  }

  sumOf(rows: readonly number[], part: number): Total {
    const total = { value: 0, weight: 0 }
    for (const row of rows) {
      total.value += this.#sums[row * this.parts + part]!
      total.weight += this.#weights[row * this.parts + part]!
    }
    return total
  }

  /** Nobody is left who sums `part`: another peer is named, and whoever lives sends it again. */
  sendAgain(part: number, values: Float64Array): void {
    this.again = { value: 0, weight: 0 }
    for (const { seat, weight } of this.#plan.contributors) {
      if (!this.#lives(seat, 1)) continue
      this.again.value += weight * values[seat * this.parts + part]!
      this.again.weight += weight
      this.partsSent[seat]!++
    }
  }

  /**
   * Sums to the finisher, its mean to the column, and from there into the rows. A row without a reducer asks the
   * finisher.
   */
  spread(share: Share, part: number, rows: readonly number[]): void {
    const living = rows.filter((row) => this.#lives(this.#reducers[part * this.#rows + row]!, 1))
    const planned = this.#seats.get(finisherOf(this.#plan, part) ?? '')
    const seatOf = (row: number): number => this.#reducers[part * this.#rows + row]!
    const finisherRow = living.find((row) => seatOf(row) === planned) ?? living[0]
    const finisher = finisherRow === undefined ? this.#anyLiving() : seatOf(finisherRow)
    for (const row of rows) {
      if (row === finisherRow) continue
      this.partsSent[seatOf(row)]!++
      this.sumsSent[seatOf(row)]!++
    }
    for (let row = 0; row < share.reducers.length; row++) {
      const isServed = living.includes(row)
      if (isServed && row !== finisherRow) this.partsSent[finisher]!++
      this.partsSent[isServed ? seatOf(row) : finisher]! += Math.max(
        0,
        this.#audiences[row]! - Number(isServed),
      )
    }
  }

  #anyLiving(): number {
    return this.#plan.contributors.find(({ seat }) => this.#lives(seat, 1))!.seat
  }

  #lives(seat: number, moment: number): boolean {
    return this.#moments[seat]! >= moment
  }
}
