/**
 * Scenarios for the allreduce, drawn from a seed ("swarm testing": each seed switches on another mixture of faults),
 * and the list of faults that the suite must see fire at least once.
 */

import { rowPeersMax } from '../protocols/core/limits.ts'
import { seededRandom, seedFrom } from '../protocols/core/random.ts'
import { AllreduceSwarm, type SwarmOptions } from './allreduce-swarm.ts'
import { crashForAWhile, deadlyGridMoments, deadlyMoments, strikeAt } from './deadly-moments.ts'
import { duplicates, lossyLinks, partitionFor } from './faults.ts'
import type { Conditions } from './network.ts'
import { letFallSilent } from './silences.ts'

/** A quick network that never fails: for what is about one fault alone. */
export const calmNetwork = {
  delayMs: [5, 30],
  jitterMs: 5,
  bytesPerSecond: 1e6,
  detectMs: 200,
  reconnectMs: 500,
} as const satisfies Conditions

/** Faults that come by the clock. */
export const timedFaults = ['crash', 'leave', 'reset', 'cut', 'partition', 'newcomer'] as const

/** What one seed came to. */
export interface SeedReport {
  seed: number
  rounds: number
  /** Kinds of faults that fired, with counts. */
  faults: [string, number][]
  /** Virtual milliseconds. */
  durationMs: number
  /** The faults left too few voters: the swarm stands still, and says so. */
  isQuorumLost: boolean
}

/** How long faults go on, in virtual time: ten rounds and more. */
const faultsMs = 20_000

/** Rounds that everyone must commit after the faults: one to catch up as a newcomer, two to be a full member again. */
const recoveryRounds = 3

/**
 * One seed in so many is a grid of rows and columns: it costs as much as ten single rows, and `tidal-scenario.ts` has
 * more of them.
 */
const gridEvery = 250

/**
 * Clocks of home computers: some minutes off, and gaining or losing up to a hundredth, a hundred times what quartz
 * does.
 */
const skewMax = { offsetMs: 5 * 60_000, drift: 0.01 }

/** A swarm drawn from `seed`: a row of 3 to 12 peers, mostly small ones, or a grid of 36 to 80. */
export function drawOptions(seed: number, overrides: Partial<SwarmOptions> = {}): SwarmOptions {
  const drawn = seed % gridEvery === 0 ? drawGrid(seed) : drawRow(seed)
  return { ...drawn, skewOf: drawSkew(seed), ...overrides }
}

/** Three of ten swarms have clocks that are off, each peer its own. */
function drawSkew(seed: number): SwarmOptions['skewOf'] {
  if (seededRandom(seedFrom(seed, 'skew')).next() >= 0.3) return undefined
  return (id) => {
    const random = seededRandom(seedFrom(seed, 'skew', id))
    return {
      offsetMs: skewMax.offsetMs * random.next(),
      rate: 1 + skewMax.drift * (2 * random.next() - 1),
    }
  }
}

/** A swarm of a few rows, with vectors of a few parts: what matters is who is linked with whom. */
export function drawGrid(seed: number): SwarmOptions {
  const random = seededRandom(seedFrom(seed, 'grid'))
  const peers = 36 + random.integer(1 + random.integer(45))
  return {
    seed,
    peers,
    codec: random.next() < 0.5 ? 'f32' : 'int8',
    partition: { elements: 8 + random.integer(40), partElements: 4 + random.integer(4) },
    peersMin: 20,
    conditions: {
      delayMs: [1, 1 + random.integer(100)],
      jitterMs: random.integer(50),
      bytesPerSecond: 10 ** (4.5 + 2 * random.next()),
      detectMs: random.integer(3_000),
      reconnectMs: 100 + random.integer(2_000),
    },
    trainingMs: 2_000 + random.integer(3_000),
    slow: new Map(random.next() < 0.3 ? [[`peer-${random.integer(peers)}`, 8]] : []),
  }
}

function drawRow(seed: number): SwarmOptions {
  const random = seededRandom(seedFrom(seed, 'options'))
  const peers = 3 + random.integer(1 + random.integer(10))
  const slowest = `peer-${random.integer(peers)}`
  const delayMs = 1 + random.integer(100)
  return {
    seed,
    peers,
    codec: random.next() < 0.5 ? 'f32' : 'int8',
    partition: { elements: 1 + random.integer(120), partElements: 8 + random.integer(16) },
    peersMin: Math.floor(peers / 2) + 1,
    conditions: {
      delayMs: [1, delayMs],
      jitterMs: random.integer(50),
      bytesPerSecond: 10 ** (3.5 + 3 * random.next()),
      detectMs: random.integer(3_000),
      reconnectMs: 100 + random.integer(2_000),
    },
    trainingMs: 500 + random.integer(4_000),
    slow: new Map(random.next() < 0.3 ? [[slowest, 8]] : []),
  }
}

/**
 * Founds a swarm, lets the seed's faults loose on it, and has it recover.
 * @throws {SafetyViolation | LivenessFailure}
 */
export function runSeed(seed: number, overrides: Partial<SwarmOptions> = {}): SeedReport {
  const swarm = new AllreduceSwarm(drawOptions(seed, overrides))
  if (swarm.options.slow?.size) swarm.log.note('slow peer')
  if (swarm.options.skewOf !== undefined) swarm.log.note('clock skew')
  swarm.found()
  letLoose(swarm)
  swarm.runFor(faultsMs)
  swarm.recover(recoveryRounds)
  const { round: rounds, isQuorumLost } = swarm
  return { seed, rounds, faults: swarm.log.entries(), durationMs: swarm.clock.now(), isQuorumLost }
}

function letLoose(swarm: AllreduceSwarm): void {
  const { random, log } = swarm
  const isOn = (probability: number): boolean => random.next() < probability
  if (isOn(0.4)) swarm.onAnyMessage(lossyLinks(random, 0.004 * random.next(), log))
  if (isOn(0.4)) swarm.onAnyMessage(duplicates(random, 0.1 * random.next(), log))
  const moments = { ...deadlyMoments, ...(swarm.options.peers > rowPeersMax ? deadlyGridMoments : {}) }
  for (const moment of Object.keys(moments)) if (isOn(0.25)) strikeAt(swarm, moment, random)
  const enabled = timedFaults.filter(() => isOn(0.4))
  if (enabled.length > 0) strikeLater(swarm, enabled, swarm.clock.now() + faultsMs)
  letFallSilent(swarm, Object.keys(moments), swarm.clock.now() + faultsMs)
}

function strikeLater(swarm: AllreduceSwarm, enabled: readonly string[], untilMs: number): void {
  swarm.clock.setTimer(300 + swarm.random.integer(4_000), () => {
    if (swarm.clock.now() >= untilMs) return
    strike(swarm, enabled[swarm.random.integer(enabled.length)]!)
    strikeLater(swarm, enabled, untilMs)
  })
}

/** Lets `fault`, one of `timedFaults`, happen to peers drawn at random, if that leaves a quorum. */
export function strike(swarm: AllreduceSwarm, fault: string): void {
  const { random, network, log } = swarm
  const live = network.live()
  const one = live[random.integer(live.length)]!
  const other = live[random.integer(live.length)]!
  if (fault === 'partition') {
    partitionFor(network, random, 1_000 + random.integer(20_000), log)
  } else if (fault === 'newcomer') {
    swarm.start(`newcomer-${log.count('newcomer')}`)
    log.note('newcomer')
  } else if (fault === 'crash' && crashForAWhile(swarm, one)) {
    log.note('crash')
  } else if (fault === 'leave' && swarm.canLose([one])) {
    swarm.leave(one, random.integer(2) * random.integer(20_000))
    log.note('leave')
  } else if (one !== other && fault === 'reset') {
    network.reset(one, other)
    log.note('reset')
  } else if (one !== other && fault === 'cut') {
    network.cut(one, other, 1_000 + random.integer(15_000))
    log.note('cut')
  }
}
