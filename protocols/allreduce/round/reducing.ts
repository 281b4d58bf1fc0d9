/**
 * A contributor's and a row reducer's part in a round.
 *
 *     plan known ──▶ send own parts, each to its reducer in the own row
 *     part p: every contributor's copy is here, or it is gone, slow or lied ──▶ Reduce ──▶ the row's sum, to `finishing.ts`
 *
 * A contributor that goes after part k counts for the parts it delivered; each sum says in a bitmap who is in it.
 * Inputs are summed in the plan's order, whatever the order in which they came, and never after the sum was begun.
 */

import { newBitmap, partCount, partLength, setBit } from '../plan/parts.ts'
import { type Contributor, type Plan, sendingOrder } from '../plan/plan.ts'
import { directoryOf, type IndexedContributor, rowOfPeer } from '../plan/plan-directory.ts'
import type { Event, Inspection } from './events.ts'
import type { Finishing } from './finishing.ts'
import type { BallotPlan, OwnUpdate, Round } from './round.ts'
import type { Role, Session } from './session.ts'
import { mayStillSend, partTimeoutMs, silenceDueMs } from './timeouts.ts'
import type { Part, Reassign } from './vocabulary.ts'

interface Inbox {
  /**
   * Part → contributor → its copy; dropped once the part is reduced. Bytes of this peer's own are made when they are
   * looked at.
   */
  parts: Map<number, Map<string, Part>>
  /** Parts that were given to Reduce. */
  closed: Set<number>
  /** Contributors that sent nothing for too long: not waited for any more. */
  slow: Set<string>
  /** `part peer` of parts that were not what was committed to. */
  excluded: Set<string>
}

export class Reducing implements Role {
  readonly #round: Round
  readonly #session: Session
  readonly #finishing: Finishing
  readonly #inboxes = new Map<string, Inbox>()
  #sentPlan: string | undefined
  #heardMs = 0

  constructor(round: Round, session: Session, finishing: Finishing) {
    this.#round = round
    this.#session = session
    this.#finishing = finishing
  }

  advance(): void {
    const current = this.#current()
    if (current === undefined) return
    if (this.#sentPlan !== current.planId) {
      this.#sentPlan = current.planId
      this.#heardMs = this.#session.nowMs
      this.#sendParts(current, () => true)
    }
    const inbox = this.#inbox(current.planId)
    if (this.#session.nowMs >= this.#stuckMs(current)) this.#giveUpOnStuck(current, inbox)
    for (const part of this.#myParts(current.plan)) this.#close(current, inbox, part)
  }

  dueMs(): number {
    const current = this.#current()
    if (current === undefined) return Number.POSITIVE_INFINITY
    const inbox = this.#inbox(current.planId)
    if (this.#myParts(current.plan).every((part) => inbox.closed.has(part))) return Number.POSITIVE_INFINITY
    const peers = this.#contributors(current.plan).map(({ peer }) => peer)
    return Math.min(this.#stuckMs(current), silenceDueMs(this.#session, current.plan, peers))
  }

  /** A contributor's part of a plan that is known here. Returns why it is refused, if it is. */
  receive(from: string, message: Part, inspection: Inspection): string | undefined {
    const { part } = message
    const { partition } = this.#session.init
    const plan = this.#round.plans.get(message.planId)!
    const contributor = directoryOf(plan).contributors.get(from)
    if (contributor === undefined) return 'a part from a peer that does not contribute'
    if (rowOfPeer(plan, from) !== rowOfPeer(plan, this.#session.self)) return 'a part from another row'
    if (part >= partCount(partition)) return `part ${part} of ${partCount(partition)}`
    const inbox = this.#inbox(message.planId)
    if (inbox.closed.has(part)) return undefined // late: the mean went out without it, and says so
    const fault = this.#fault(contributor, message, inspection)
    if (fault !== undefined) {
      inbox.excluded.add(`${part} ${from}`)
      return fault
    }
    const senders = inbox.parts.get(part) ?? new Map<string, Part>()
    inbox.parts.set(part, senders)
    senders.set(from, message)
    this.#heardMs = this.#session.nowMs
    return undefined
  }

  /** The sum that a Reduce effect asked for. */
  reduced({ planId, part, outcome }: Extract<Event, { kind: 'PartReduced' }>): void {
    const plan = this.#round.plans.get(planId)
    const inbox = this.#inboxes.get(planId)
    if (plan === undefined || inbox === undefined) return
    const senders = this.#included(plan, inbox, part)
    if (outcome.kind === 'invalid') {
      for (const index of outcome.inputs) this.#exclude(inbox, part, senders[index]!.peer)
      inbox.closed.delete(part)
      return
    }
    inbox.parts.delete(part)
    this.#round.progressAtMs = this.#session.nowMs
    this.#finishing.give(planId, part, { ...summarise(plan, senders), sum: outcome.sum })
  }

  /** Parts got another reducer: whoever has them sends them there. */
  reassigned({ planId, parts }: Reassign): void {
    const current = this.#current()
    if (current === undefined || current.planId !== planId) return
    this.#heardMs = this.#session.nowMs
    const given = new Set(parts)
    this.#sendParts(current, (part) => given.has(part))
  }

  /** After a broken link: what `peer` may have missed. */
  repeatTo(peer: string): void {
    const current = this.#current()
    if (current === undefined) return
    const { results, committed } = this.#round
    if (committed !== undefined) return
    this.#sendParts(current, (part, reducer) => reducer === peer && !results.has(current.planId, part))
  }

  /** The round is over: the update and its copies are not needed any more. */
  release(): void {
    this.#inboxes.clear()
    if (this.#round.own !== undefined) this.#round.own = { ...this.#round.own, parts: undefined, digests: [] }
  }

  /** Contributors that a part of this reducer still waits for. */
  awaited(): string[] {
    const current = this.#current()
    if (current === undefined) return []
    const inbox = this.#inbox(current.planId)
    const open = this.#myParts(current.plan).filter((part) => !inbox.closed.has(part))
    const waiting = open.flatMap((part) => this.#waitingFor(current.plan, inbox, part))
    return [...new Set(waiting)].sort()
  }

  #current(): BallotPlan | undefined {
    return this.#round.base === undefined ? undefined : this.#round.plan
  }

  #inbox(planId: string): Inbox {
    let inbox = this.#inboxes.get(planId)
    if (inbox === undefined) {
      for (const old of this.#inboxes.keys()) if (!this.#round.plans.has(old)) this.#inboxes.delete(old)
      inbox = { parts: new Map(), closed: new Set(), slow: new Set(), excluded: new Set() }
      this.#inboxes.set(planId, inbox)
    }
    return inbox
  }

  /** Parts that this peer sums for its row. */
  #myParts(plan: Plan): readonly number[] {
    const { self } = this.#session
    if (rowOfPeer(plan, self) === undefined) return []
    const own = directoryOf(plan).partsOf.get(self) ?? []
    if (this.#round.reassigned.size === 0) return own
    const given = [...this.#round.reassigned].filter(
      ([part, reducers]) => reducers.includes(self) && !own.includes(part),
    )
    return [...own, ...given.map(([part]) => part)]
  }

  /** Contributors of this peer's row, in the plan's order. */
  #contributors(plan: Plan): readonly IndexedContributor[] {
    const row = rowOfPeer(plan, this.#session.self)
    return row === undefined ? [] : directoryOf(plan).contributorsOf[row]!
  }

  #sendParts({ planId, plan }: BallotPlan, isWanted: (part: number, reducer: string) => boolean): void {
    const { own, number: round } = this.#round
    const contributor = directoryOf(plan).contributors.get(this.#session.self)
    // none any more once the round is over: a reassignment may come after that
    if (own?.parts === undefined || contributor?.commit !== own.commit) return
    const row = rowOfPeer(plan, this.#session.self)!
    for (const part of sendingOrder(plan, contributor.index)) {
      const reducer = this.#round.reducer(part, row)
      if (reducer === undefined || !isWanted(part, reducer)) continue
      this.#session.send(reducer, partMessage({ round, planId, part }, own))
    }
  }

  #fault({ peer, commit: planned }: Contributor, message: Part, inspection: Inspection): string | undefined {
    const { part } = message
    const { partition, encodedBytes } = this.#session.init
    const commit = this.#round.standings.get(peer)?.commit
    if (commit?.digest !== planned) return 'a part of another commit than the planned one'
    const isOwn = peer === this.#session.self
    if (!isOwn && message.bytes.length > encodedBytes(partLength(partition, part)))
      return `part ${part} is too long`
    if (commit.message.digests[part] !== inspection.digest) return `part ${part} is not what was committed to`
    if (!inspection.isDecodable) return `part ${part} has values that are no update`
    return undefined
  }

  #close(current: BallotPlan, inbox: Inbox, part: number): void {
    if (inbox.closed.has(part) || this.#isWaiting(current.plan, inbox, part)) return
    const senders = this.#included(current.plan, inbox, part)
    if (senders.length === 0) return // its own copy comes first; without any there is no mean
    inbox.closed.add(part)
    const copies = inbox.parts.get(part)!
    const inputs = senders.map(({ peer, weight }) => ({ bytes: copies.get(peer)!.bytes, weight }))
    const { planId } = current
    const round = this.#round.number
    this.#session.emit({ kind: 'Reduce', round, planId, part, inputs })
  }

  /** Contributors whose copy of `part` is here, in the plan's order. */
  #included(plan: Plan, inbox: Inbox, part: number): IndexedContributor[] {
    const copies = inbox.parts.get(part)
    return this.#contributors(plan).filter(({ peer }) => copies?.has(peer) ?? false)
  }

  #isWaiting(plan: Plan, inbox: Inbox, part: number): boolean {
    return this.#contributors(plan).some((contributor) => this.#isAwaited(plan, contributor, inbox, part))
  }

  #waitingFor(plan: Plan, inbox: Inbox, part: number): string[] {
    const missing = this.#contributors(plan).filter((sender) => this.#isAwaited(plan, sender, inbox, part))
    return missing.map(({ peer }) => peer)
  }

  /** A copy of `part` of `plan` may still come from `contributor`. */
  #isAwaited(plan: Plan, contributor: Contributor, inbox: Inbox, part: number): boolean {
    const { peer } = contributor
    if (inbox.parts.get(part)?.has(peer) || inbox.slow.has(peer)) return false
    if (inbox.excluded.has(`${part} ${peer}`)) return false
    return mayStillSend(this.#session, plan, peer) && this.#round.isPlannedLife(contributor)
  }

  /** When those that are here and have not sent are waited for no more: nothing has come from anyone meanwhile. */
  #stuckMs({ plan }: BallotPlan): number {
    return this.#heardMs === 0 ? Number.POSITIVE_INFINITY : this.#heardMs + partTimeoutMs(this.#session, plan)
  }

  #giveUpOnStuck({ plan }: BallotPlan, inbox: Inbox): void {
    for (const part of this.#myParts(plan)) {
      if (!inbox.closed.has(part))
        for (const peer of this.#waitingFor(plan, inbox, part)) inbox.slow.add(peer)
    }
    this.#heardMs = this.#session.nowMs
  }

  #exclude(inbox: Inbox, part: number, peer: string): void {
    inbox.excluded.add(`${part} ${peer}`)
    inbox.parts.get(part)?.delete(peer)
    this.#session.refuse(peer, `part ${part} cannot be decoded`)
  }
}

/**
 * A part of this peer's. Its bytes are made when its turn comes: a queue that holds them would be the update once more.
 */
function partMessage(name: { round: number; planId: string; part: number }, { parts }: OwnUpdate): Part {
  return {
    kind: 'Part',
    ...name,
    get bytes() {
      return parts!.at(name.part)!
    },
  }
}

function summarise(
  plan: Plan,
  senders: readonly IndexedContributor[],
): { bitmap: Uint8Array; weight: number } {
  const bitmap = newBitmap(plan.contributors.length)
  for (const { index } of senders) setBit(bitmap, index)
  return { bitmap, weight: senders.reduce((sum, { weight }) => sum + weight, 0) }
}
