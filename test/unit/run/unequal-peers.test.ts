/** Peers of different speeds, peers that die or slow down, and training that goes on while parts travel. */

import { expect, test } from 'vitest'
import { smallCodecOf } from '../../../protocols/run/plan.ts'
import { at, stepOf, VirtualSwarm } from './virtual-swarm.ts'

/** All states that the peers came to are the same, round by round. */
function expectOneHistory(swarm: VirtualSwarm, rounds: number): void {
  const histories = [...swarm.states.values()]
  for (let round = 0; round < rounds; round++) {
    const states = histories.flatMap((states) => (states[round] === undefined ? [] : [states[round]]))
    for (const state of states) expect(state).toEqual(states[0])
  }
}

/** No position is in two updates that count. */
function expectEachSampleOnce(swarm: VirtualSwarm): void {
  const counted = swarm.counted.flat()
  expect(new Set(counted).size).toBe(counted.length)
}

test('fast and slow peers are done at the same time once they were measured, with weights as their samples', async () => {
  const swarm = new VirtualSwarm({ a: 40, b: 40, c: 8 }, 100, {})
  await swarm.run()
  const spans = swarm.givenMs.map(({ first, last }) => last - first)
  // alike at first, 32 samples each: 0.8 s and 4 s, of which c does only what it can until the round closes
  expect(spans[0]).toBeGreaterThan(500)
  expect(swarm.outcomes[0]!.contributors.map(({ weight }) => weight)).toEqual([32, 32, 12])
  // then 11, 11 and 2 batches of the 24: 1.1 s and 1 s
  expect(spans.at(-1)).toBeLessThan(150)
  expect(swarm.outcomes.at(-1)!.contributors.map(({ weight }) => weight)).toEqual([44, 44, 8])
  for (const { totalWeight } of swarm.outcomes.slice(2)) expect(totalWeight).toBe(96)
  expectEachSampleOnce(swarm)
  expectOneHistory(swarm, 6)
})

test('the steps of a peer that dies are done by the others in the same round, and no sample twice', async () => {
  const swarm = new VirtualSwarm({ a: 4, b: 4, c: 4, d: 4, e: 4 }, 100, { roundsMax: 4 })
  at(swarm.clock, 12_000, () => swarm.kill('c')) // in the middle of round 1, whose steps take 8 s
  await swarm.run()
  expect(swarm.outcomes[1]!.contributors.map(({ peer }) => peer)).toEqual(['a', 'b', 'd', 'e'])
  expect(swarm.outcomes.map(({ totalWeight }) => totalWeight)).toEqual([160, 160, 128, 128])
  expectEachSampleOnce(swarm)
  expectOneHistory(swarm, 4)
})

test('a peer that slows down gives what it has when the round closes, and holds nobody up', async () => {
  const swarm = new VirtualSwarm({ a: 8, b: 8, c: 8, d: 8 }, 100, { roundsMax: 5 })
  at(swarm.clock, 5_000, () => swarm.speeds.set('d', 2)) // in the middle of round 1
  await swarm.run()
  const weights = swarm.outcomes.map(
    ({ contributors }) => contributors.find(({ peer }) => peer === 'd')!.weight,
  )
  expect(weights[0]).toBe(32)
  expect(weights[1]).toBeGreaterThanOrEqual(4)
  expect(weights[1]).toBeLessThan(24)
  // four steps' time after the others at most: its piece of a second is four old steps long
  for (const { first, last } of swarm.givenMs) expect(last - first).toBeLessThan(8_500)
  expect(weights.at(-1)).toBeLessThan(16)
  expectEachSampleOnce(swarm)
  expectOneHistory(swarm, 5)
})

test('training goes on while parts travel, and the mean is applied to where it has come', async () => {
  const rounds = 5
  // four steps of a second each, 1.5 s for an average: two steps of the next round are done meanwhile
  const plan = { localSteps: 4, roundsMax: rounds, outerLearningRate: () => 0.5 }
  const swarm = new VirtualSwarm({ a: 4, b: 4 }, 1_500, { ...plan, isOverlapped: true })
  await swarm.run()
  const waiting = new VirtualSwarm({ a: 4, b: 4 }, 1_500, plan)
  await waiting.run()
  expect(waiting.heldMs.at(-1)).toBeCloseTo(rounds * 5_500, -1)
  // round 0 gives nobody a lease to begin early, since nobody has agreed on anybody yet; a mean waits for the end of a
  // step
  expect(swarm.heldMs.at(-1)).toBeCloseTo(5_500 + (rounds - 1) * 4_000 + 2_000, -1)
  expectEachSampleOnce(swarm)
  expectOneHistory(swarm, rounds)

  const steps = (value: number, count: number): number =>
    count === 0 ? value : steps(stepOf(value), count - 1)
  let agreed = 0
  let early = 0 // what the early steps of a round gained before its state was there
  for (let round = 0; round < rounds; round++) {
    const begun = round > 1 ? 2 : 0
    const end = steps(agreed - early, 4 - begun)
    const next = agreed - 0.5 * (agreed - end)
    early = round > 0 ? end - steps(end, 2) : 0
    agreed = next
  }
  expect(swarm.states.get('a')!.at(-1)!.parameters[0]).toBeCloseTo(agreed, 5)
})

test('steps that were taken at parameters of long ago count half', async () => {
  const plan = { localSteps: 4, roundsMax: 3, isOverlapped: true, outerLearningRate: () => 0.5 }
  const swarm = new VirtualSwarm({ a: 4, b: 4 }, 2_500, plan)
  await swarm.run()
  const steps = (value: number, count: number): number =>
    count === 0 ? value : steps(stepOf(value), count - 1)
  const first = -0.5 * (0 - steps(0, 4))
  const end = steps(first, 4)
  const second = first - 0.5 * (first - end)
  // three of four steps were begun early, which is more than half of them
  const last = steps(second - 0.5 * (end - steps(end, 3)), 1)
  expect(swarm.states.get('b')![2]!.parameters[0]).toBeCloseTo(second - 0.5 * (second - last), 5)
})

test.each([
  // overlapped peers have begun the next round already: what was measured counts from the one after it
  [true, 400, [30, 30, 30, 40]],
  [true, 50, [30, 30, 30, 20]],
  [false, 50, [30, 30, 50, 50]],
  [false, 2_000, [30, 30, 60, 100]],
])(
  'the number of local steps follows the time of an average (overlapped: %s, %i ms)',
  async (isOverlapped, averagingMs, expected) => {
    // one step is 10 ms
    const swarm = new VirtualSwarm({ a: 400, b: 400, c: 400 }, averagingMs, {
      localSteps: 'auto',
      isOverlapped,
      roundsMax: 5,
    })
    await swarm.run()
    const steps = swarm.states.get('a')!.map(({ leases }) => leases.steps)
    expect([30, ...steps].slice(0, 4)).toEqual(expected)
    expectOneHistory(swarm, 5)
  },
)

test('peers whose averages take longer than their steps code their updates more coarsely, others do not', async () => {
  const codecsAt = async (samplesPerSecond: number) => {
    const speeds = { a: samplesPerSecond, b: samplesPerSecond }
    const swarm = new VirtualSwarm(speeds, 1_500, { slowCodec: 'int4', roundsMax: 3 })
    await swarm.run()
    return swarm.codecs.map((codecs) => [...codecs.values()])
  }
  // 32 samples: 0.1 s, and 8 s. In the first round nothing is measured yet
  expect(await codecsAt(320)).toEqual([
    [undefined, undefined],
    ['int4', 'int4'],
    ['int4', 'int4'],
  ])
  expect((await codecsAt(4)).flat()).toEqual(new Array(6).fill(undefined))
})

test('a peer that saves data gives smaller updates and sums nothing for others, from the round in which it is told to until it is not', async () => {
  const swarm = new VirtualSwarm({ a: 40, b: 40 }, 100, {
    smallCodec: 'int4',
    slowCodec: 'int8',
    roundsMax: 4,
  })
  at(swarm.clock, 1_000, () => swarm.savers.add('b')) // in the middle of round 1; a round takes 0.9 s
  at(swarm.clock, 2_800, () => swarm.savers.delete('b')) // in the middle of round 3
  await swarm.run()
  expect(swarm.codecs.map((codecs) => [codecs.get('a'), codecs.get('b')])).toEqual([
    [undefined, undefined],
    [undefined, 'int4'],
    [undefined, 'int4'],
    [undefined, undefined],
  ])
  expect(swarm.reducers.map((reducers) => [...reducers].sort().join())).toEqual(['a,b', 'a', 'a', 'a,b'])
  expectOneHistory(swarm, 4)
})

test.each([
  ['f32', undefined, false, 'int4'],
  ['int8', undefined, false, 'int4'],
  ['f32', 'f16', false, 'f16'],
  ['int4', undefined, false, undefined],
  ['topk', undefined, false, undefined],
  ['f32', undefined, true, undefined],
] as const)(
  'in a job of codec %s, slow codec %s, exact: %s, a peer that saves data gives its updates in %s',
  (codec, slowCodec, isExact, expected) => {
    expect(smallCodecOf({ codec, slowCodec }, isExact)).toBe(expected)
  },
)
