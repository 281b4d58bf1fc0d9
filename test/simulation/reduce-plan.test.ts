/**
 * What a death costs stands twice: in the machines (reducing.ts, finishing.ts), as they come to it message by message,
 * and in simulator/averaging/reduce-plan.ts, as arithmetic for thousands of peers. Here the machines lose a peer in the
 * middle of its sending, and the arithmetic says of the same plan and moment how much weight each part has. Every share
 * is one part, so who dies before it has sent all has handed in nothing, in both.
 */

import { expect, test } from 'vitest'
import { sendingOrder } from '../../protocols/allreduce/plan/plan.ts'
import type { CommittedRound } from '../../protocols/allreduce/round/events.ts'
import { AllreduceSwarm, type SwarmOptions } from '../../simulator/allreduce-swarm.ts'
import { reducePlan } from '../../simulator/averaging/reduce-plan.ts'

/** A swarm on a quick network without faults, past its founding; three elements for each of `parts`. */
function founded(peers: number, parts: number): AllreduceSwarm {
  const options: SwarmOptions = {
    seed: 5,
    peers,
    codec: 'f32',
    partition: { elements: 3 * parts, partElements: 3 },
    peersMin: Math.floor(peers / 2) + 1,
    conditions: { delayMs: [5, 30], jitterMs: 5, bytesPerSecond: 1e6, detectMs: 200, reconnectMs: 500 },
    trainingMs: 2_000,
  }
  const swarm = new AllreduceSwarm(options)
  swarm.found()
  commitRound(swarm)
  return swarm
}

function commitRound(swarm: AllreduceSwarm): CommittedRound {
  const { round } = swarm
  swarm.runUntil(() => swarm.live().every(({ base }) => (base?.round ?? 0) > round), 'a round', 120_000)
  return swarm.outcomes.find((outcome) => outcome.round === round)!
}

/** One round, in which a peer dies as it is about to send its `turn`-th part (from 1) to another. */
function commitWithDeath(swarm: AllreduceSwarm, turn: number) {
  const { round } = swarm
  const sent = new Map<string, number>()
  let death: { victim: string; part: number } | undefined
  swarm.onMessage((from, _to, message) => {
    if (message.kind !== 'Part' || message.round !== round || death !== undefined) return 'pass'
    sent.set(from, (sent.get(from) ?? 0) + 1)
    if (sent.get(from) === turn && swarm.crash(from)) death = { victim: from, part: message.part }
    return 'pass'
  })
  swarm.runUntil(() => death !== undefined, 'the death', 60_000)
  return { ...death!, outcome: commitRound(swarm) }
}

test.each([
  ['a row of seven, early', 7, 7, 2],
  ['a row of seven, late', 7, 7, 5],
  ['six rows of six', 36, 6, 3],
])('the weight of every part is what the arithmetic says: %s', (_, peers, parts, turn) => {
  const { victim, part, outcome } = commitWithDeath(founded(peers, parts), turn)
  const { plan } = outcome
  const index = plan.contributors.findIndex(({ peer }) => peer === victim)
  const order = sendingOrder(plan, index)
  const moments = new Float64Array(plan.seats).fill(Number.POSITIVE_INFINITY)
  moments[plan.contributors[index]!.seat] = (order.indexOf(part) + 0.5) / order.length
  const { weight } = reducePlan(plan, new Float64Array(plan.seats * parts), moments)
  expect(outcome.parts.map((each) => each.weight)).toEqual([...weight])
  const all = plan.contributors.reduce((sum, contributor) => sum + contributor.weight, 0)
  expect(new Set(weight).size).toBe(peers === 36 ? 3 : 2) // without the peer, without its row, and whole
  expect(Math.max(...weight)).toBe(all)
})
