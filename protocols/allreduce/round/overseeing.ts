/**
 * A leader's eye on the reducers of its plan: whether every mean is here, and who stands in for a reducer that is gone,
 * or delivers nothing for `reduceMs`.
 *
 *     one row          any contributor that is here sums the part again
 *     several rows     another row's reducer of the part finishes it: it has a sum of it already
 *
 * A leader sees its own row and column alone; of other finishers it hears from the reducers that wait for them
 * (`Lacking`).
 */

import type { Ballot } from '../plan/electorate.ts'
import { type Plan, partCountOf } from '../plan/plan.ts'
import { finishersOf, reducersOf } from '../plan/plan-directory.ts'
import { canSee } from './absence.ts'
import { contributorsHere } from './freeze.ts'
import type { Round } from './round.ts'
import type { Session } from './session.ts'
import { partTimeoutMs } from './timeouts.ts'
import type { Lacking, Reassign } from './vocabulary.ts'

export class Overseeing {
  readonly #round: Round
  readonly #session: Session
  /** Part → finishers that are gone, as its reducers say. Asked again when nothing comes from anyone. */
  readonly #lost = new Map<number, Set<string>>()
  #resultCount = 0
  #resultAtMs = 0

  constructor(round: Round, session: Session) {
    this.#round = round
    this.#session = session
  }

  /** The leader has said its plan: its reducers' time begins. */
  begin(): void {
    this.#resultAtMs = this.#session.nowMs
  }

  /** Digests of the plan's means, in order, once all are here. */
  digests(): string[] | undefined {
    const { results, plan: current } = this.#round
    const { planId, plan } = current!
    const length = partCountOf(plan)
    if (results.count(planId) < length) return undefined
    return Array.from({ length }, (_, part) => results.get(planId, part)!.digest)
  }

  /** Gives the parts of reducers that are gone, or overdue, to others, in `ballot`. */
  watch(ballot: Ballot): void {
    const { results, plan: current } = this.#round
    const { planId, plan } = current!
    const count = results.count(planId)
    if (count !== this.#resultCount) this.#resultAtMs = this.#session.nowMs
    this.#resultCount = count
    const isOverdue = this.#session.nowMs >= this.dueMs()
    const parts = Array.from({ length: partCountOf(plan) }, (_, part) => part)
    const missing = parts.filter((part) => !results.has(planId, part))
    const here = new Set(contributorsHere(this.#round, this.#session, plan))
    if (isOverdue) this.#lost.clear()
    const orphans = missing.filter(
      (part) => isOverdue || this.#isGone(part, this.#round.finisher(part)!, here),
    )
    const successors = new Map(orphans.map((part) => [part, this.#successorOf(plan, part, here)]))
    this.#reassign(ballot, planId, successors)
    if (isOverdue) this.#resultAtMs = this.#session.nowMs
  }

  /** When a reducer has had its time. */
  dueMs(): number {
    const { plan } = this.#round
    if (plan === undefined) return Number.POSITIVE_INFINITY
    const { timing } = this.#session.init
    return this.#resultAtMs + timing.reduceMs + partTimeoutMs(this.#session, plan.plan)
  }

  /** A reducer that waits for a mean lost its finisher. */
  lacking(from: string, { planId, part }: Lacking): void {
    const plan = this.#round.plan
    if (plan?.planId !== planId || !reducersOf(plan.plan, part).includes(from)) return
    const finisher = this.#round.finisher(part)
    if (finisher === undefined) return
    const lost = this.#lost.get(part) ?? new Set<string>()
    this.#lost.set(part, lost.add(finisher))
  }

  /** Nothing of `part` can be expected of `finisher`. */
  #isGone(part: number, finisher: string, here: ReadonlySet<string>): boolean {
    if (this.#lost.get(part)?.has(finisher)) return true
    const { plan } = this.#round.plan!
    const contributes = plan.contributors.some(({ peer }) => peer === finisher)
    return (
      canSee(this.#round, this.#session, finisher) &&
      !(contributes ? here.has(finisher) : this.#session.isLive(finisher))
    )
  }

  /** Gives each part to its successor, if it has one. */
  #reassign(ballot: Ballot, planId: string, successors: ReadonlyMap<number, string | undefined>): void {
    const byReducer = new Map<string, number[]>()
    for (const [part, reducer] of successors)
      if (reducer !== undefined) byReducer.set(reducer, [...(byReducer.get(reducer) ?? []), part])
    const { number: round } = this.#round
    for (const [reducer, parts] of byReducer) {
      this.#resultAtMs = this.#session.nowMs
      const message: Reassign = { kind: 'Reassign', round, ballot, planId, parts, reducer }
      this.#session.broadcast(this.#session.signed(this.#round, message))
    }
  }

  /**
   * With one row any contributor that is here; with several another row's reducer of the part, which has a sum of it.
   * Never one that is gone.
   */
  #successorOf(plan: Plan, part: number, here: ReadonlySet<string>): string | undefined {
    const finisher = this.#round.finisher(part)
    if (this.#round.grid.rowCount === 1) {
      const others = [...here].filter((peer) => peer !== finisher)
      return others[part % others.length]
    }
    const finishers = finishersOf(plan, part)
    const after = finishers.indexOf(finisher!) + 1
    const others = reducersOf(plan, part).filter((peer) => peer !== '' && !finishers.includes(peer))
    const inTurn = [...finishers.slice(after), ...finishers.slice(0, after), ...others]
    return inTurn.find((peer) => peer !== finisher && !this.#isGone(part, peer, here))
  }
}
