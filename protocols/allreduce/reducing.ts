/**
 * A contributor's and a reducer's part in a round.
 *
 *     plan known ──▶ send own parts, each to its reducer
 *     part p: every contributor's copy is here, or it is gone, slow or lied ──▶ Reduce ──▶ Result to the plan's audience
 *
 * A contributor that goes after part k counts for the parts it delivered; each result says in a bitmap who is in it. Inputs
 * are summed in the plan's order, whatever the order in which they came.
 */

import { rowPeersMax } from '../core/limits.ts'
import type { Event, Inspection } from './events.ts'
import { newBitmap, partCount, partLength, setBit } from './parts.ts'
import { audienceOf, type Contributor, type Plan, reducerOf, sendingOrder } from './plan.ts'
import type { BallotPlan, Round } from './round.ts'
import type { Role, Session } from './session.ts'
import type { Part, Reassign, Result } from './vocabulary.ts'

/**
 * Bytes per second that a contributor's uplink is expected to carry at least (2 Mbit/s): it sends one part to each reducer
 * in turn, so a reducer may have to wait for one part of every other before it hears from it again.
 */
const uplinkFloor = 250_000

/** How long a reducer waits for a silent contributor of `plan`. */
export function partTimeoutMs(session: Session, plan: Plan): number {
  const { partition, encodedBytes, timing } = session.init
  return timing.partMs + (plan.shares.length * encodedBytes(partLength(partition, 0)) * 1000) / uplinkFloor
}

interface Inbox {
  /** Part → contributor → its bytes; dropped once the part is reduced. */
  parts: Map<number, Map<string, Uint8Array>>
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
  readonly #inboxes = new Map<string, Inbox>()
  #sentPlan: string | undefined
  #heardMs = 0

  constructor(round: Round, session: Session) {
    this.#round = round
    this.#session = session
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
    if (this.#session.nowMs >= this.dueMs()) this.#giveUpOnSilent(current, inbox)
    for (const part of this.#myParts(current.plan)) this.#close(current, inbox, part)
  }

  dueMs(): number {
    const current = this.#current()
    if (current === undefined || this.#heardMs === 0) return Number.POSITIVE_INFINITY
    const inbox = this.#inbox(current.planId)
    if (this.#myParts(current.plan).every((part) => inbox.closed.has(part))) return Number.POSITIVE_INFINITY
    return this.#heardMs + partTimeoutMs(this.#session, current.plan)
  }

  /** A contributor's part of a plan that is known here. Returns why it is refused, if it is. */
  receive(from: string, message: Part, inspection: Inspection): string | undefined {
    const { part, bytes } = message
    const { partition, encodedBytes } = this.#session.init
    const plan = this.#round.plans.get(message.planId)!
    const contributor = plan.contributors.find(({ peer }) => peer === from)
    if (contributor === undefined) return 'a part from a peer that does not contribute'
    if (part >= partCount(partition)) return `part ${part} of ${partCount(partition)}`
    const inbox = this.#inbox(message.planId)
    if (inbox.closed.has(part)) return undefined // late: the mean went out without it, and says so
    const fault = this.#fault(
      contributor,
      part,
      bytes.length > encodedBytes(partLength(partition, part)),
      inspection,
    )
    if (fault !== undefined) {
      inbox.excluded.add(`${part} ${from}`)
      return fault
    }
    const senders = inbox.parts.get(part) ?? new Map<string, Uint8Array>()
    inbox.parts.set(part, senders)
    senders.set(from, bytes)
    this.#heardMs = this.#session.nowMs
    return undefined
  }

  /** The mean that a Reduce effect asked for. */
  reduced(event: Extract<Event, { kind: 'PartReduced' }>): void {
    const { planId, part, outcome } = event
    const plan = this.#round.plans.get(planId)
    const inbox = this.#inboxes.get(planId)
    if (plan === undefined || inbox === undefined) return
    const senders = this.#included(plan, inbox, part)
    if (outcome.kind === 'invalid') {
      for (const index of outcome.inputs) this.#exclude(inbox, part, senders[index]!.peer)
      inbox.closed.delete(part)
      return
    }
    const { bitmap, weight } = summarise(plan, senders)
    const { number: round } = this.#round
    const message: Result = { kind: 'Result', round, planId, part, bitmap, weight, bytes: outcome.bytes }
    inbox.parts.delete(part)
    // A later leader need not be in the plan that it continues.
    const leader = this.#round.plan?.planId === planId ? [this.#round.plan.ballot.leader] : []
    for (const peer of new Set([...audienceOf(plan), ...leader])) {
      if (peer !== this.#session.self) this.#session.send(peer, message)
    }
    this.#round.results.add(message, outcome.digest)
    this.#round.progressAtMs = this.#session.nowMs
  }

  /** Parts got another reducer: whoever has them sends them there. A reducer that has the result already hands it in. */
  reassigned({ planId, parts, reducer, ballot }: Reassign): void {
    const current = this.#current()
    if (current === undefined || current.planId !== planId) return
    this.#heardMs = this.#session.nowMs
    const given = new Set(parts)
    this.#sendParts(current, (part) => given.has(part))
    if (reducer !== this.#session.self) return
    for (const part of parts) {
      const held = this.#round.results.get(planId, part)
      if (held === undefined) continue
      this.#inbox(planId).closed.add(part)
      this.#session.send(ballot.leader, held.message)
    }
  }

  /** After a broken link: what `peer` may have missed. */
  repeatTo(peer: string): void {
    const current = this.#current()
    if (current === undefined) return
    const { results, committed } = this.#round
    if (committed === undefined)
      this.#sendParts(current, (part, reducer) => reducer === peer && !results.has(current.planId, part))
    if (!audienceOf(current.plan).includes(peer) && current.ballot.leader !== peer) return
    for (const part of this.#myParts(current.plan)) {
      const held = results.get(current.planId, part)
      if (held !== undefined) this.#session.send(peer, held.message)
    }
  }

  /** The round is over: the update and its copies are not needed any more. */
  release(): void {
    this.#inboxes.clear()
    if (this.#round.own !== undefined) this.#round.own = { ...this.#round.own, parts: [], digests: [] }
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

  #myParts(plan: Plan): number[] {
    const { self } = this.#session
    const parts: number[] = []
    for (const { reducer, firstPart, partCount: count } of plan.shares) {
      if (reducer === self) for (let part = firstPart; part < firstPart + count; part++) parts.push(part)
    }
    for (const [part, reducers] of this.#round.reassigned) {
      if (reducers.includes(self) && reducerOf(plan, part) !== self) parts.push(part)
    }
    return parts
  }

  #sendParts({ planId, plan }: BallotPlan, isWanted: (part: number, reducer: string) => boolean): void {
    const { own, number: round } = this.#round
    const index = plan.contributors.findIndex(({ peer }) => peer === this.#session.self)
    if (own === undefined || plan.contributors[index]?.commit !== own.commit) return
    for (const { part } of sendingOrder(plan, index)) {
      const reducer = this.#round.reducer(part)!
      const bytes = own.parts[part] // none once the round is over: a reassignment may come after that
      if (bytes === undefined || !isWanted(part, reducer)) continue
      this.#session.send(reducer, { kind: 'Part', round, planId, part, bytes })
    }
  }

  #fault(
    contributor: Contributor,
    part: number,
    isTooLong: boolean,
    inspection: Inspection,
  ): string | undefined {
    const commit = this.#round.standings.get(contributor.peer)?.commit
    if (commit?.digest !== contributor.commit) return 'a part of another commit than the planned one'
    if (isTooLong) return `part ${part} is too long`
    if (commit.message.digests[part] !== inspection.digest) return `part ${part} is not what was committed to`
    if (!inspection.isDecodable) return `part ${part} has values that are no update`
    return undefined
  }

  #close(current: BallotPlan, inbox: Inbox, part: number): void {
    if (inbox.closed.has(part) || this.#waitingFor(current.plan, inbox, part).length > 0) return
    const senders = this.#included(current.plan, inbox, part)
    if (senders.length === 0) return // its own copy comes first; without any there is no mean
    inbox.closed.add(part)
    const copies = inbox.parts.get(part)!
    const inputs = senders.map(({ peer, weight }) => ({ bytes: copies.get(peer)!, weight }))
    const { planId } = current
    const round = this.#round.number
    this.#session.emit({ kind: 'Reduce', round, planId, part, inputs, ...summarise(current.plan, senders) })
  }

  /** Contributors whose copy of `part` is here, in the plan's order. */
  #included(plan: Plan, inbox: Inbox, part: number): Contributor[] {
    const copies = inbox.parts.get(part)
    return plan.contributors.filter(({ peer }) => copies?.has(peer) ?? false)
  }

  #waitingFor(plan: Plan, inbox: Inbox, part: number): string[] {
    const copies = inbox.parts.get(part)
    const missing = plan.contributors.filter((contributor) => {
      const { peer } = contributor
      if (copies?.has(peer) || inbox.slow.has(peer) || inbox.excluded.has(`${part} ${peer}`)) return false
      return this.#session.isLive(peer) && this.#round.isPlannedLife(contributor)
    })
    return missing.map(({ peer }) => peer)
  }

  #giveUpOnSilent({ plan }: BallotPlan, inbox: Inbox): void {
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

function summarise(plan: Plan, senders: readonly Contributor[]): { bitmap: Uint8Array; weight: number } {
  const bitmap = newBitmap(Math.min(plan.contributors.length, rowPeersMax))
  let weight = 0
  plan.contributors.forEach((contributor, index) => {
    if (!senders.includes(contributor)) return
    setBit(bitmap, index)
    weight += contributor.weight
  })
  return { bitmap, weight }
}
