/**
 * One liar among honest peers, by the list of `simulator/liars.ts`: they commit round after round, whole, on their own
 * state, and hardly slower than when nobody lies. The swarm's checker looks at every mean: nothing made up is in it.
 */

import { describe, expect, test } from 'vitest'
import type { AllreduceSwarm, SwarmOptions } from '../../simulator/allreduce-swarm.ts'
import { gridLiars, highestBallot, type Lie, liarOf, liars } from '../../simulator/liars.ts'
import { calmSwarm } from './calm-swarm.ts'
import { sixRows } from './six-rows.ts'

const rounds = 3

/** What a liar gets: whether its update counts, and the virtual time that each round of the others may take longer. */
interface Gain {
  counts: boolean
  delayMsMax: number
  /** Mean of a round's training time; a second where the lie is not about time. */
  trainingMs?: number
}

const nothing: Gain = { counts: true, delayMsMax: 50 }

const leftOut: Gain = { counts: false, delayMsMax: 50 }

const gains: Readonly<Record<keyof typeof liars, Gain>> = {
  'values that are no numbers': leftOut,
  'a part of another length': leftOut,
  'other values than it committed to': leftOut,
  'the parts of the round before': leftOut,
  // what it committed to is waited for, `partMs` in each round
  'nothing of what it committed to': { counts: false, delayMsMax: 5_100 },
  'no votes': nothing,
  // that it gives nothing is found out by waiting; and nothing moves for `behindMs` in each round
  'that it is a thousand rounds ahead': { counts: false, delayMsMax: 10_000, trainingMs: 20_000 },
  'votes for seals that it made up': nothing,
  // the others pull from the leader what its seal names, once they have waited `wantMs` for it
  'four other means before its own, to all but the leader': { counts: true, delayMsMax: 2_100 },
  'another seal in the same ballot, many times': nothing,
  'each word fifty times': nothing,
}

/** Runs until all but `liar` have committed some more rounds: the virtual milliseconds of one, and who was in each. */
function commit(swarm: AllreduceSwarm, liar: string) {
  const { round: first } = swarm
  const begunMs = swarm.clock.now()
  const honest = swarm.live().filter(({ id }) => id !== liar)
  const isDone = (): boolean => honest.every(({ base }) => (base?.round ?? 0) >= first + rounds)
  swarm.runUntil(isDone, `${rounds} rounds beside a liar`, 400_000)
  const outcomes = swarm.outcomes.filter(({ round }) => round >= first && round < first + rounds)
  return {
    roundMs: (swarm.clock.now() - begunMs) / rounds,
    complete: outcomes.map(({ complete }) => complete.map(({ peer }) => peer)),
    honest,
  }
}

describe('in a row of five', () => {
  const liar = 'peer-4'
  const founded = (overrides: Partial<SwarmOptions> = {}): AllreduceSwarm => {
    const swarm = calmSwarm(1, overrides)
    swarm.found()
    return swarm
  }
  const honestMs = new Map(
    [1_000, 20_000].map((trainingMs) => [trainingMs, commit(founded({ trainingMs }), liar).roundMs]),
  )

  test.each(Object.entries<Lie>(liars))('%s', (name, lie) => {
    const { alterSent, told } = liarOf(liar, lie)
    const { counts, delayMsMax, trainingMs = 1_000 } = gains[name]!
    const { roundMs, complete, honest } = commit(founded({ alterSent, trainingMs }), liar)
    expect(told(), 'lies').toBeGreaterThan(rounds)
    const members = [...honest.map(({ id }) => id), ...(counts ? [liar] : [])]
    expect(complete.at(-1)).toEqual(members)
    for (const peers of complete) expect(peers).toEqual(expect.arrayContaining(honest.map(({ id }) => id)))
    expect(roundMs - honestMs.get(trainingMs)!).toBeLessThan(delayMsMax)
    expect(honest.map(({ seen }) => seen.behind)).toEqual(honest.map(() => 0))
  })
})

test('who asked for the highest ballot there is, and went, keeps nobody from deciding without it', () => {
  const liar = 'peer-2'
  const { alterSent, told } = liarOf(liar, highestBallot)
  const swarm = calmSwarm(1, { alterSent })
  swarm.found()
  swarm.runUntil(() => told() >= 4, 'the lie has been told to all', 60_000)
  swarm.runFor(100)
  swarm.crash(liar)
  const { complete, honest } = commit(swarm, liar)
  expect(complete.at(-1)).toEqual(honest.map(({ id }) => id))
})

describe('in six rows', () => {
  const liar = 'peer-28'
  const { roundMs: honestMs, complete: everybody } = commit(sixRows(3), liar)

  test.each(Object.entries<Lie>(gridLiars))('%s', (_, lie) => {
    const { alterSent, told } = liarOf(liar, lie)
    const { roundMs, complete, honest } = commit(sixRows(3, { alterSent }), liar)
    expect(told(), 'lies').toBeGreaterThanOrEqual(rounds)
    // its row is in no mean of the part that it sums
    expect(everybody.at(-1)!.length - complete.at(-1)!.length).toBe(6)
    expect(roundMs - honestMs).toBeLessThan(50)
    expect(
      honest.flatMap(({ seen }) => seen.refused).filter((refusal) => refusal.startsWith(liar)),
    ).not.toEqual([])
  })
})
