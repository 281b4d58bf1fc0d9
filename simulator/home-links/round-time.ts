/**
 * When each peer of a planned round holds all of its means, if nobody dies: a model of the access links.
 *
 *     updates  ──▶ row's reducers ──sums──▶ finisher ──means──▶ column's reducers ──▶ rows
 *
 * Every home has an uplink and a downlink, and nothing in between is slow. An uplink carries what is given to it in one
 * order: the peer's updates first, then what it passes on, part by part. Something has arrived when the sender's uplink
 * has carried it, the delay has passed, and the receiver's downlink has carried it; a downlink, five times as fast, is
 * never idle here while others have to wait for it. Fair sharing between streams, commits and votes (a few delays),
 * loss and slow start are left out: the model says how long links are busy and what waits for what.
 */

import { type Plan, rowIn } from '../../protocols/allreduce/plan/plan.ts'
import { finisherOf } from '../../protocols/allreduce/plan/plan-directory.ts'
import { delayMs, type Home } from './world.ts'

/** What travels. */
export interface PartBytes {
  /** An update's or a mean's part, encoded. */
  coded: number
  /** A row's sum of one part. */
  sum: number
}

/** By seat: milliseconds from the plan to the last mean; 0 for seats that do not contribute. `homes`: by seat. */
export function roundTimesMs(plan: Plan, homes: readonly Home[], bytes: PartBytes): Float64Array {
  const links = new Links(plan, homes, bytes)
  const turns = Math.max(...plan.shares.map(({ partCount }) => partCount))
  for (let turn = 0; turn < turns; turn++) links.sendUpdates(turn)
  for (let turn = 0; turn < turns; turn++) links.finish(turn)
  return links.doneMs
}

class Links {
  readonly doneMs: Float64Array
  readonly #plan: Plan
  readonly #homes: readonly Home[]
  readonly #bytes: PartBytes
  /** By seat: until when the uplink is busy. */
  readonly #upMs: Float64Array
  /** By seat: for how long the downlink has been busy. */
  readonly #downMs: Float64Array
  /** Row → seats of its contributors. */
  readonly #rows: number[][] = []
  readonly #seats: ReadonlyMap<string, number>
  /** `turn`, then share, then row: when the row's sum is made. */
  readonly #summedMs: number[][][] = []

  constructor(plan: Plan, homes: readonly Home[], bytes: PartBytes) {
    this.#plan = plan
    this.#homes = homes
    this.#bytes = bytes
    this.doneMs = new Float64Array(plan.seats)
    this.#upMs = new Float64Array(plan.seats)
    this.#downMs = new Float64Array(plan.seats)
    this.#seats = new Map(plan.contributors.map(({ peer, seat }) => [peer, seat]))
    for (const contributor of plan.contributors) {
      const row = rowIn(plan, contributor)
      this.#rows[row] ??= []
      this.#rows[row].push(contributor.seat)
    }
  }

  /** Everyone sends one part of each share that has so many, each to its row's reducer. */
  sendUpdates(turn: number): void {
    const shares = this.#plan.shares.filter(({ partCount }) => partCount > turn)
    const begunMs = this.#upMs.slice()
    const reducers = shares.map((share) => share.reducers.map((peer) => this.#seats.get(peer)))
    for (const [row, seats] of this.#rows.entries()) {
      for (const seat of seats ?? []) {
        const others = reducers.filter((ofShare) => ofShare[row] !== seat).length
        this.#sendMs(seat, 0, others * this.#bytes.coded)
      }
    }
    this.#summedMs[turn] = reducers.map((ofShare) =>
      ofShare.map((reducer, row) =>
        reducer === undefined ? Number.NaN : this.#collectMs(reducer, row, begunMs),
      ),
    )
  }

  /** When `reducer` has the copies of all of its row, whose senders had `begunMs` and are done with this turn. */
  #collectMs(reducer: number, row: number, begunMs: Float64Array): number {
    let firstMs = Number.POSITIVE_INFINITY
    let lastMs = 0
    let copies = 0
    for (const seat of this.#rows[row]!) {
      if (seat === reducer) continue
      const onWayMs = delayMs(this.#homes[seat]!, this.#homes[reducer]!)
      firstMs = Math.min(firstMs, begunMs[seat]! + onWayMs)
      lastMs = Math.max(lastMs, this.#upMs[seat]! + onWayMs)
      copies++
    }
    if (copies === 0) return this.#upMs[reducer]!
    return Math.max(lastMs, this.#receiveMs(reducer, firstMs, copies * this.#bytes.coded))
  }

  /** From the rows' sums of this turn's parts to the means at every peer, all shares at each step. */
  finish(turn: number): void {
    const columns = this.#plan.shares
      .filter(({ partCount }) => partCount > turn)
      .map((share, index) => {
        const reducers = share.reducers.map((peer) => this.#seats.get(peer))
        const finisher = this.#seats.get(finisherOf(this.#plan, share.firstPart + turn)!)!
        return {
          finisher,
          reducers,
          meanMs: this.#gatherMs(finisher, reducers, this.#summedMs[turn]![index]!),
        }
      })
    const held = columns.flatMap(({ finisher, reducers, meanMs }) =>
      reducers.flatMap((reducer, row) => {
        if (reducer === undefined) return []
        const isFinisher = reducer === finisher
        const heldMs = isFinisher ? meanMs : this.#passMs(finisher, reducer, meanMs, this.#bytes.coded)
        return [{ reducer, row, heldMs }]
      }),
    )
    for (const { reducer, row, heldMs } of held) this.#deliver(reducer, row, heldMs)
  }

  /** When `finisher` has the sums of all rows. */
  #gatherMs(
    finisher: number,
    reducers: readonly (number | undefined)[],
    summedMs: readonly number[],
  ): number {
    let meanMs = 0
    for (const [row, reducer] of reducers.entries()) {
      if (reducer === undefined) continue
      const sumMs = summedMs[row]!
      const isOwn = reducer === finisher
      meanMs = Math.max(meanMs, isOwn ? sumMs : this.#passMs(reducer, finisher, sumMs, this.#bytes.sum))
    }
    return meanMs
  }

  /** `reducer` sends a mean to its whole row. */
  #deliver(reducer: number, row: number, heldMs: number): void {
    this.doneMs[reducer] = Math.max(this.doneMs[reducer]!, heldMs)
    for (const seat of this.#rows[row] ?? [])
      if (seat !== reducer)
        this.doneMs[seat] = Math.max(
          this.doneMs[seat]!,
          this.#passMs(reducer, seat, heldMs, this.#bytes.coded),
        )
  }

  /** When `to` has `bytes` that `from` holds at `readyMs`. */
  #passMs(from: number, to: number, readyMs: number, bytes: number): number {
    const sentMs = this.#sendMs(from, readyMs, bytes)
    const onWayMs = delayMs(this.#homes[from]!, this.#homes[to]!)
    const firstMs = sentMs - bytes / this.#homes[from]!.up + onWayMs
    return Math.max(sentMs + onWayMs, this.#receiveMs(to, firstMs, bytes))
  }

  #sendMs(seat: number, readyMs: number, bytes: number): number {
    this.#upMs[seat] = Math.max(this.#upMs[seat]!, readyMs) + bytes / this.#homes[seat]!.up
    return this.#upMs[seat]
  }

  #receiveMs(seat: number, firstMs: number, bytes: number): number {
    const busyMs = bytes / this.#homes[seat]!.down
    this.#downMs[seat]! += busyMs
    return Math.max(this.#downMs[seat]!, firstMs + busyMs)
  }
}
