/**
 * The allreduce of one row on the simulated network, one fault at a time: the survivors end the round within seconds,
 * with the weighted mean of what was given, and bugs that are planted on purpose are seen. Faults in any mixture are in
 * `seeds`, rows and columns in `grid.test.ts`.
 */

import { expect, test } from 'vitest'
import { decodeMessage } from '../../protocols/allreduce/messages.ts'
import { hasBit, partLength, setBit } from '../../protocols/allreduce/plan/parts.ts'
import type { CommittedRound } from '../../protocols/allreduce/round/events.ts'
import { type ReductionInput, sumRow } from '../../protocols/allreduce/round/reduction.ts'
import type { Message, Part } from '../../protocols/allreduce/round/vocabulary.ts'
import { seededRandom, seedFrom } from '../../protocols/core/random.ts'
import { codecFor } from '../../protocols/wire/codecs/index.ts'
import { calmNetwork, runSeed } from '../../simulator/allreduce-scenario.ts'
import type { SwarmOptions } from '../../simulator/allreduce-swarm.ts'
import { deadlyMoments, strikeAt } from '../../simulator/deadly-moments.ts'
import { shuffled } from '../../simulator/faults.ts'
import { calmSwarm } from './calm-swarm.ts'
import { violationOf } from './violation.ts'

/**
 * Three peers with slow disks. As one sends its vote to the leader the third is cut off, so that those two decide; then
 * both are killed, and the one that is not the leader comes back to the third.
 */
function killThoseThatDecided(seed: number, overrides: Partial<SwarmOptions>): boolean {
  const swarm = calmSwarm(seed, { peers: 3, peersMin: 2, diskMsMax: 5_000, ...overrides })
  swarm.found()
  let hasStruck = false
  swarm.onMessage((voter, to, message) => {
    const leads = message.kind === 'Accepted' && message.round > 0 && message.ballot.leader === to
    if (!leads || hasStruck) return 'pass'
    hasStruck = true
    const third = swarm.founders.filter((id) => id !== voter && id !== to)
    swarm.network.partition([[voter, to], third])
    swarm.clock.setTimer(150, () => {
      for (const id of [voter, to]) swarm.network.crash(id)
      swarm.network.heal()
      swarm.start(voter)
      swarm.clock.setTimer(30_000, () => swarm.start(to))
    })
    return 'pass'
  })
  swarm.runFor(60_000)
  swarm.recover(2)
  return hasStruck
}

test.each(Object.keys(deadlyMoments))(
  'a %s dies, and the survivors end the round within seconds',
  (moment) => {
    let hits = 0
    for (let seed = 0; seed < 6; seed++) {
      const swarm = calmSwarm(seed)
      swarm.found()
      // A later leader only speaks when the first has died.
      if (/prepares|promises/.test(moment)) strikeAt(swarm, 'leader as it plans', swarm.random)
      strikeAt(swarm, moment, swarm.random)
      const round = swarm.round
      swarm.runFor(30_000)
      hits += swarm.log.count(moment)
      expect(swarm.round, `seed ${seed}`).toBeGreaterThan(round + 5)
      swarm.recover(2)
    }
    expect(hits).toBeGreaterThan(0)
  },
)

test('of two peers one leaves at any moment of a round, and the other goes on within its next', () => {
  for (let seed = 0; seed < 30; seed++) {
    const swarm = calmSwarm(seed, { peers: 2, peersMin: 2 })
    swarm.found()
    swarm.runFor(swarm.random.integer(3_000))
    const [leaver, other] = shuffled(swarm.live(), swarm.random)
    swarm.leave(leaver!.id, swarm.random.integer(2) * 8_000)
    const { round } = other!.base!
    swarm.runUntil(() => other!.base!.round >= round + 3, `seed ${seed}`, 20_000)
    expect(swarm.network.isRunning(leaver!.id)).toBe(false)
    expect(other!.base!.electorate).toEqual([other!.id])
  }
})

test('peers leave one after the other, each with its update counted, until one is left', () => {
  for (let seed = 0; seed < 6; seed++) {
    const swarm = calmSwarm(seed)
    swarm.found()
    for (const { id } of shuffled(swarm.live(), swarm.random).slice(1)) {
      let leftIn = -1
      swarm.onMessage((from, _to, message: Message) => {
        if (message.kind !== 'Part' || from !== id || leftIn >= 0) return 'pass'
        leftIn = message.round
        swarm.leave(id, 8_000)
        return 'pass'
      })
      swarm.runUntil(() => leftIn >= 0 && swarm.round > leftIn + 1, `seed ${seed}, ${id}`, 30_000)
      const outcome = swarm.outcomes.find(({ round }) => round === leftIn)!
      expect(outcome.complete.map(({ peer }) => peer)).toContain(id)
      expect(outcome.electorate).not.toContain(id)
    }
    expect(swarm.live()).toHaveLength(1)
  }
})

test('a majority goes on during a partition, and the minority catches up when it heals', () => {
  const swarm = calmSwarm(1)
  swarm.found()
  const minority = ['peer-0', 'peer-1']
  swarm.network.partition([minority, ['peer-2', 'peer-3', 'peer-4']])
  swarm.runFor(40_000)
  const rounds = new Map(swarm.live().map(({ id, base }) => [id, base?.round ?? -1]))
  expect(rounds.get('peer-2')).toBeGreaterThan(10)
  for (const id of minority) expect(rounds.get(id)).toBeLessThanOrEqual(2)
  swarm.recover(2)
})

test('neither half of an even split without the first leader, nor a minority, commits anything', () => {
  const swarm = calmSwarm(2, { peers: 5 })
  swarm.found()
  swarm.network.partition([['peer-0', 'peer-1'], ['peer-2', 'peer-3'], ['peer-4']])
  swarm.runFor(2_000) // what was under way may still end
  const before = swarm.round
  swarm.runFor(300_000)
  expect(swarm.round).toBe(before)
  for (const peer of swarm.live()) expect(peer.pending()).toContain('waiting for a quorum of 5 peers')
  swarm.recover(2)
})

test('when the majority is gone for good, the rest goes on after the electorate expired', () => {
  const swarm = calmSwarm(3, { timing: { electorateExpiryMs: 60_000 }, mayFork: true })
  swarm.found()
  for (const id of ['peer-0', 'peer-1', 'peer-2']) swarm.network.crash(id)
  const before = swarm.round
  swarm.runFor(50_000)
  expect(swarm.round).toBeLessThanOrEqual(before + 1)
  swarm.runFor(60_000)
  expect(swarm.round).toBeGreaterThan(before + 10)
  for (const peer of swarm.live()) expect(peer.seen.quorumLost).toBeGreaterThan(0)
})

test('all peers are killed at once, again and again, and go on from their disks where they were', () => {
  for (let seed = 0; seed < 6; seed++) {
    const swarm = calmSwarm(seed, { peers: 2 + (seed % 4), peersMin: 2 })
    swarm.found()
    for (let kill = 0; kill < 3; kill++) {
      swarm.runFor(swarm.random.integer(3_000))
      const ids = swarm.live().map(({ id }) => id)
      const { round } = swarm
      for (const id of ids) swarm.network.crash(id)
      for (const id of ids) swarm.clock.setTimer(swarm.random.integer(2_000), () => swarm.start(id))
      swarm.runUntil(() => swarm.live().length === ids.length, `seed ${seed}`)
      swarm.runUntil(() => swarm.live().every(({ base }) => (base?.round ?? 0) > round + 1), `seed ${seed}`)
    }
  }
})

test('of two peers one is killed at any moment, and they go on together within seconds of its return', () => {
  for (let seed = 0; seed < 40; seed++) {
    const swarm = calmSwarm(seed, { peers: 2, peersMin: 2 })
    swarm.found()
    swarm.runFor(swarm.random.integer(3_000))
    const [victim] = shuffled(swarm.live(), swarm.random)
    swarm.network.crash(victim!.id)
    swarm.runFor(2_000)
    swarm.start(victim!.id)
    const { round } = swarm
    swarm.runUntil(
      () => swarm.live().every(({ base }) => (base?.round ?? 0) > round + 1),
      `seed ${seed}`,
      15_000,
    )
  }
})

test('planted bug: a voter that answers before it has written is caught', () => {
  const violations: string[] = []
  for (let seed = 0; seed < 5; seed++) {
    expect(killThoseThatDecided(seed, {})).toBe(true) // without the bug no harm is done
    violations.push(violationOf(() => killThoseThatDecided(seed, { answersBeforeWriting: true })))
  }
  expect(
    violations.filter((violation) => /next electorate|differs|another seal/.test(violation)),
  ).not.toEqual([])
})

test('clocks that are minutes off and drift by a hundredth change neither what a round comes to nor who is in it', () => {
  const rates = new Map([
    ['peer-1', 1.01],
    ['peer-3', 0.99],
  ])
  const swarm = calmSwarm(12, {
    skewOf: (id) => ({ offsetMs: 60_000 * Number(id.slice(-1)), rate: rates.get(id) ?? 1 }),
  })
  swarm.found()
  swarm.runFor(60_000)
  expect(swarm.round).toBeGreaterThan(25)
  for (const { complete } of swarm.outcomes) expect(complete).toHaveLength(5)
  expect(swarm.live().map(({ seen }) => seen.behind)).toEqual([0, 0, 0, 0, 0])
})

test('a founder that is cut off does not found a run alone, however long it waits', () => {
  const swarm = calmSwarm(4, { peers: 3, peersMin: 3, timing: { electorateExpiryMs: 60_000 } })
  let isCut = false
  swarm.onMessage((from, _to, { kind }) => {
    if (kind !== 'Part' || isCut) return 'pass'
    isCut = true
    swarm.network.partition([[from], swarm.founders.filter((peer) => peer !== from)])
    return 'pass'
  })
  for (const id of swarm.founders) swarm.start(id, { round: 0, root: 'genesis', electorate: [] })
  swarm.runFor(300_000)
  expect(isCut).toBe(true)
  expect(swarm.round).toBe(0)
  expect(swarm.live().some(({ seen }) => seen.quorumLost > 0)).toBe(true)
  swarm.recover(2)
})

test('a late joiner is a member after its first round and gives updates from the second on', () => {
  const swarm = calmSwarm(5)
  swarm.found()
  swarm.start('newcomer')
  swarm.runUntil(() => swarm.peers.get('newcomer')?.base !== undefined, 'fetching')
  const first = swarm.peers.get('newcomer')!.base!.round
  swarm.runUntil(() => swarm.round > first + 2, 'two rounds')
  expect(swarm.peers.get('newcomer')!.base!.electorate).toContain('newcomer')
  const given = swarm.outcomes.filter(({ round }) => round > first)
  expect(given.some(({ plan }) => plan.contributors.some(({ peer }) => peer === 'newcomer'))).toBe(true)
})

test('a peer that trains eight times slower delays no one by more than the grace, and stays a member', () => {
  const swarm = calmSwarm(6, { slow: new Map([['peer-3', 20]]) })
  swarm.found()
  const startMs = swarm.clock.now()
  const start = swarm.round
  swarm.runFor(120_000)
  const roundMs = (swarm.clock.now() - startMs) / (swarm.round - start)
  expect(roundMs).toBeLessThan(6_000) // 1.5 s of training, 3 s of grace, and the exchange
  expect(swarm.peers.get('peer-3')!.base!.electorate).toContain('peer-3')
})

test('planted bug: a reducer that sums in the order of arrival is caught', () => {
  const swarm = calmSwarm(7, {
    sum: (codec, length, inputs) => sumRow(codec, length, [...inputs].reverse()),
  })
  expect(violationOf(() => swarm.found())).toContain('is not the weighted mean')
})

test('planted bug: a reducer that forgets the weights is caught', () => {
  const forget = (inputs: readonly ReductionInput[]) => inputs.map(({ bytes }) => ({ bytes, weight: 1 }))
  const swarm = calmSwarm(8, { sum: (codec, length, inputs) => sumRow(codec, length, forget(inputs)) })
  expect(violationOf(() => swarm.found())).toContain('is not the weighted mean')
})

test('planted bug: a peer that adds a late part to a sealed round is caught', () => {
  const f32 = codecFor('f32')
  const late = new Map<string, { part: Part; from: string }>()
  const added: string[] = []
  const alterOutcome = (id: string, outcome: CommittedRound): CommittedRound => {
    const { part, from } = late.get(`${id} ${outcome.planId}`) ?? {}
    const index = outcome.plan.contributors.findIndex(({ peer }) => peer === from)
    const sealed = part && outcome.parts[part.part]!
    if (sealed === undefined || index < 0 || hasBit(sealed.bitmap, index)) return outcome
    added.push(id)
    const length = partLength(swarm.options.partition, part!.part)
    const [mean, update] = [new Float32Array(length), new Float32Array(length)]
    f32.decode(sealed.bytes, mean)
    f32.decode(part!.bytes, update)
    const own = outcome.plan.contributors[index]!.weight
    const weight = sealed.weight + own
    const values = mean.map((value, i) => (value * sealed.weight + own * update[i]!) / weight)
    const bitmap = sealed.bitmap.slice()
    setBit(bitmap, index)
    const bytes = f32.encode(values)
    return { ...outcome, parts: outcome.parts.with(part!.part, { bytes, bitmap, weight }) }
  }
  // Reducers that wait for nobody: what a far contributor sends comes after the sum, and at times after the seal.
  const conditions = { ...calmNetwork, delayMs: [5, 300] } as const
  const swarm = calmSwarm(6, { alterOutcome, conditions, timing: { partMs: 1 } })
  for (const id of swarm.founders) swarm.start(id, { round: 0, root: 'genesis', electorate: [] })
  for (const [id, peer] of swarm.peers) {
    const receive = peer.receive.bind(peer)
    const sealedPlans = new Set<string>()
    peer.receive = (from, bytes) => {
      const message = decodeMessage(bytes)
      if (message.kind === 'Seal') sealedPlans.add(message.planId)
      if (message.kind === 'Part' && sealedPlans.has(message.planId))
        late.set(`${id} ${message.planId}`, { part: message, from })
      receive(from, bytes)
    }
  }
  const violation = violationOf(() => swarm.runFor(60_000))
  expect(added.length).toBeGreaterThan(0)
  expect(violation).toMatch(/^peer-\d committed round \d+: part \d+ (differs|is not the weighted mean)/)
})

test('planted bug: a result that claims a weight it has not is caught', () => {
  const alterOutcome = (_id: string, outcome: CommittedRound): CommittedRound => {
    const [first, ...rest] = outcome.parts
    return { ...outcome, parts: [{ ...first!, weight: first!.weight + 1 }, ...rest] }
  }
  expect(violationOf(() => calmSwarm(10, { alterOutcome }).found())).toContain('part 0 weighs')
})

test('the same seed gives the same run, to the virtual millisecond', () => {
  const seed = 1 + 50 * seededRandom(seedFrom('replay')).integer(1 << 20)
  expect(runSeed(seed)).toEqual(runSeed(seed))
})
