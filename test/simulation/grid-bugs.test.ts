/**
 * Rules of rows and columns, each broken on purpose: the simulator sees it. Bugs that a single row can have too are in
 * `allreduce.test.ts`.
 */

import { afterEach, expect, test, vi } from 'vitest'
import { Grid } from '../../protocols/allreduce/plan/grid.ts'
import { reducersOf } from '../../protocols/allreduce/plan/plan-directory.ts'
import { Pledges } from '../../protocols/allreduce/round/pledges.ts'
import { finishPart, type ReductionInput, sumRow } from '../../protocols/allreduce/round/reduction.ts'
import { Round } from '../../protocols/allreduce/round/round.ts'
import { lose, nextRound, sixRows } from './six-rows.ts'
import { violationOf } from './violation.ts'

afterEach(() => vi.restoreAllMocks())

/** Survivors make a plan's lost mean again within 20 s; twice that, as waiting costs time here too. */
const roundMsMax = 40_000

/**
 * A mean comes to the leader and its finisher alone. A second after the leader's seal both die, and their disks with
 * them.
 * @throws {LivenessFailure} when the others do not end the round.
 */
function dieWithAMean(seed: number): void {
  const swarm = sixRows(seed)
  const { root, electorate, round } = swarm.live()[0]!.base!
  const leader = new Grid(root, electorate).council[0]!
  const parts = [0, 1, 2, 3, 4, 5]
  let part: number | undefined
  let finisher: string | undefined
  let areAlive = true
  const lostCount = lose(swarm, (from, to, message) => {
    if (message.kind === 'Plan' && message.round === round && part === undefined)
      part = parts.find((index) => reducersOf(message.plan, index).includes(leader))
    if (!areAlive || message.kind !== 'Result' || message.round !== round || message.part !== part)
      return false
    finisher ??= from
    return to !== leader
  })
  const isSealed = () => swarm.round > round || swarm.peers.get(leader)!.pending().includes('sealed')
  swarm.runUntil(isSealed, 'the seal', 60_000)
  swarm.runFor(1_000)
  for (const id of [leader, finisher!]) {
    swarm.network.crash(id)
    swarm.wipe(id)
  }
  areAlive = false
  expect(lostCount()).toBeGreaterThan(10)
  swarm.runUntil(() => swarm.live().every(({ base }) => (base?.round ?? 0) > round), 'the round', roundMsMax)
}

test('planted bug: a finisher that adds the rows in another order than that of seats is caught', () => {
  const finish: typeof finishPart = (codec, sums, weight) => finishPart(codec, [...sums].reverse(), weight)
  expect(violationOf(() => nextRound(sixRows(5, { finish })))).toContain('is not the weighted mean')
})

test('planted bug: a row that forgets the weights is caught', () => {
  const forget = (inputs: readonly ReductionInput[]) => inputs.map(({ bytes }) => ({ bytes, weight: 1 }))
  const sum: typeof sumRow = (codec, length, inputs) =>
    sumRow(codec, length, inputs.length > 6 ? inputs : forget(inputs)) // the founding row is longer
  expect(violationOf(() => nextRound(sixRows(6, { sum })))).toContain('is not the weighted mean')
})

test('planted bug: a finisher that counts a row twice is caught', () => {
  const finish: typeof finishPart = (codec, sums, weight) =>
    finishPart(codec, sums.length > 1 ? [...sums, sums[0]!] : sums, weight)
  expect(violationOf(() => nextRound(sixRows(7, { finish })))).toContain('is not the weighted mean')
})

test('planted bug: councillors that vote for what they do not hold are caught, for what they decided is lost with two peers', () => {
  dieWithAMean(8)
  const isComplete = Round.prototype.isComplete
  vi.spyOn(Round.prototype, 'isComplete').mockImplementation(function (this: Round, value) {
    const isVote = 'ballot' in value
    return isVote || isComplete.call(this, value)
  })
  vi.spyOn(Pledges.prototype, 'next').mockReturnValue(undefined) // what is not here cannot be pledged
  expect(() => dieWithAMean(8)).toThrow(/^the round: nothing after .*(\n.*)*decided, fetching 1 parts/)
})

test('planted bug: peers that pass nothing on are caught by what the round lacks; a single one costs nothing', () => {
  const rounds = [false, true].map((areAllSilent) => {
    const swarm = sixRows(8)
    const { root, electorate } = swarm.live()[0]!.base!
    const layout = new Grid(root, electorate)
    const leader = layout.council[0]!
    const silent = electorate.find((peer) => peer !== leader && layout.areColumnMates(peer, leader))
    const lostCount = lose(
      swarm,
      (from, _to, { kind }) => kind === 'Relay' && (areAllSilent || from === silent),
    )
    const { complete } = nextRound(swarm)
    expect(lostCount()).toBeGreaterThan(0)
    return { complete: complete.length, fetched: swarm.live().some(({ seen }) => seen.behind > 0) }
  })
  expect(rounds[0]).toEqual({ complete: 36, fetched: false })
  expect(rounds[1]!.complete).toBeLessThan(36)
  expect(rounds[1]!.fetched).toBe(true)
})
