/**
 * Heavy churn on both sides of the border between one row and a grid: some 36 peers found a run, and then come and go
 * so fast that the membership falls below 33 and rises above 32 again and again, while everything else goes wrong as
 * well.
 *
 *     ebb    peers die for good, are killed and come back, leave        ──▶ until the newest state is one row's
 *     flood  newcomers arrive, and the dead, with their disks or without ──▶ until the newest state is a grid's
 *
 * In both: partitions, links that break or are slow, peers killed at a deadly moment of a round. Who comes and goes is
 * heard of by gossip, by each peer at another time. Never so many go at once that the rest may not go on: with more,
 * nothing moves, by design.
 */

import type { CommittedRound } from '../protocols/allreduce/round/events.ts'
import { rowPeersMax } from '../protocols/core/limits.ts'
import { type Random, seededRandom, seedFrom } from '../protocols/core/random.ts'
import { type SeedReport, strike } from './allreduce-scenario.ts'
import { AllreduceSwarm, type SwarmOptions } from './allreduce-swarm.ts'
import { deadlyGridMoments, deadlyMoments, strikeAt } from './deadly-moments.ts'
import { letFallSilent } from './silences.ts'

/**
 * What happens by the clock while the membership falls, and while it rises. Those that stand twice happen twice as
 * often.
 */
const tides = {
  ebb: ['death', 'death', 'leave', 'crash', 'moment', 'reset', 'cut', 'partition'],
  flood: ['newcomer', 'return', 'return', 'crash', 'moment', 'reset', 'cut', 'partition'],
} as const

type Tide = keyof typeof tides

/** How long faults go on, in virtual time: about twenty rounds. */
const faultsMs = 45_000

/** Rounds that everyone must commit after the faults, as in `allreduce-scenario.ts`. */
const recoveryRounds = 3

/**
 * So many stay, whatever the tide: with fewer the swarm would need more rounds to rise above the border than the faults
 * last.
 */
const peersLeastHere = 26

/** What one seed came to. */
export interface TidalReport extends SeedReport {
  /** Rounds after which the members were a grid, and before which they were one row; and the other way round. */
  intoGrid: number
  intoRow: number
}

/** A swarm of 33 to 40 peers that founds a run; each hears of the others at its own times. */
export function drawTidal(seed: number): SwarmOptions {
  const random = seededRandom(seedFrom(seed, 'tidal'))
  const peers = rowPeersMax + 1 + random.integer(8)
  return {
    seed,
    peers,
    codec: random.next() < 0.5 ? 'f32' : 'int8',
    partition: { elements: 8 + random.integer(40), partElements: 4 + random.integer(4) },
    peersMin: Math.floor(peers / 2) + 1,
    conditions: {
      delayMs: [1, 1 + random.integer(100)],
      jitterMs: random.integer(50),
      bytesPerSecond: 10 ** (4.5 + 2 * random.next()),
      slowLinks: { share: 0.1 * random.next(), factor: 10 },
      detectMs: random.integer(5_000),
      reconnectMs: 100 + random.integer(2_000),
    },
    gossipMs: 500 + random.integer(12_000),
    trainingMs: 2_000 + random.integer(3_000),
    slow: new Map(random.next() < 0.3 ? [[`peer-${random.integer(peers)}`, 8]] : []),
  }
}

/**
 * Founds a swarm, lets tides and faults loose on it, and has it recover.
 * @throws {SafetyViolation | LivenessFailure}
 */
export function runTidal(seed: number, overrides: Partial<SwarmOptions> = {}): TidalReport {
  const swarm = new AllreduceSwarm({ ...drawTidal(seed), ...overrides })
  if (swarm.options.slow?.size) swarm.log.note('slow peer')
  swarm.found()
  new Tides(swarm).run()
  swarm.recover(recoveryRounds)
  const { round: rounds, isQuorumLost, outcomes } = swarm
  return {
    seed,
    rounds,
    faults: swarm.log.entries(),
    durationMs: swarm.clock.now(),
    isQuorumLost,
    intoGrid: countSteps(outcomes, (before, after) => before <= rowPeersMax && after > rowPeersMax),
    intoRow: countSteps(outcomes, (before, after) => before > rowPeersMax && after <= rowPeersMax),
  }
}

/** Pairs of rounds, one after the other, whose numbers of members `isStep` says yes to. */
function countSteps(
  outcomes: readonly CommittedRound[],
  isStep: (before: number, after: number) => boolean,
): number {
  const sizes = outcomes.map(({ electorate }) => electorate.length)
  return sizes.slice(1).filter((after, index) => isStep(sizes[index]!, after)).length
}

class Tides {
  readonly #swarm: AllreduceSwarm
  readonly #random: Random
  /** Died, and not back. */
  readonly #dead: string[] = []
  #tide: Tide = 'ebb'

  constructor(swarm: AllreduceSwarm) {
    this.#swarm = swarm
    this.#random = swarm.random
  }

  /** Until the faults are over. */
  run(): void {
    const untilMs = this.#swarm.clock.now() + faultsMs
    this.#strikeLater(untilMs)
    letFallSilent(this.#swarm, Object.keys({ ...deadlyMoments, ...deadlyGridMoments }), untilMs)
    this.#swarm.runFor(faultsMs)
  }

  #strikeLater(untilMs: number): void {
    this.#swarm.clock.setTimer(200 + this.#random.integer(2_500), () => {
      if (this.#swarm.clock.now() >= untilMs) return
      this.#turn()
      const faults = tides[this.#tide]
      this.#strike(faults[this.#random.integer(faults.length)]!)
      this.#strikeLater(untilMs)
    })
  }

  /** The tide turns when the newest state is the other side's. */
  #turn(): void {
    const members = this.#swarm.outcomes.at(-1)!.electorate.length
    this.#tide = members > rowPeersMax ? 'ebb' : 'flood'
  }

  #strike(fault: (typeof tides)[Tide][number]): void {
    const swarm = this.#swarm
    if (fault === 'death') this.#die()
    else if (fault === 'return') this.#return()
    else if (fault === 'moment') this.#strikeAtMoment()
    else if (fault !== 'leave' || this.#canSpare()) strike(swarm, fault)
  }

  #canSpare(): boolean {
    return this.#swarm.network.live().length > peersLeastHere
  }

  /** Somebody dies, and its disk with it half the time. */
  #die(): void {
    const { network, log } = this.#swarm
    const live = network.live()
    const victim = live[this.#random.integer(live.length)]!
    if (!this.#canSpare() || !this.#swarm.crash(victim)) return
    if (this.#random.next() < 0.5) this.#swarm.wipe(victim)
    this.#dead.push(victim)
    log.note('death')
  }

  /** Somebody who died is back after all. */
  #return(): void {
    const [id] = this.#dead.splice(this.#random.integer(this.#dead.length + 1), 1)
    if (id === undefined) return
    this.#swarm.start(id)
    this.#swarm.log.note('return')
  }

  #strikeAtMoment(): void {
    const moments = Object.keys({ ...deadlyMoments, ...deadlyGridMoments })
    strikeAt(this.#swarm, moments[this.#random.integer(moments.length)]!, this.#random)
  }
}
