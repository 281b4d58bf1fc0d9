/**
 * Peers that fall silent, as a fault of scenarios: their links stay up and nothing comes over them, until all of it
 * comes late or their connections are given up.
 *
 *     by the clock            one peer, both ways or only what it says; or the live peers are parted in two
 *     at a deadly moment      the peer that would die there
 *
 * Half of the silences are shorter than anybody notices, as a full queue of a home router is; of the others some
 * outlast the connection. Drawn apart from all other faults, so that seeds without silences are what they were without
 * this file.
 */

import { type Random, seededRandom, seedFrom } from '../protocols/core/random.ts'
import type { AllreduceSwarm } from './allreduce-swarm.ts'
import { type Blow, strikeAt } from './deadly-moments.ts'
import { shuffled } from './faults.ts'

/** Share of the seeds in which peers fall silent. */
const seedShare = 0.4

/** Longest silence that nobody notices, for certain. */
const shortMs = 6_000

/** Longest silence: some connections are given up before. */
const longMs = 45_000

/** In four of ten seeds, has peers fall silent until `untilMs`, some of them at one of `moments`. */
export function letFallSilent(swarm: AllreduceSwarm, moments: readonly string[], untilMs: number): void {
  const random = seededRandom(seedFrom(swarm.options.seed, 'silences'))
  if (random.next() >= seedShare) return
  const blow: Blow = {
    prefix: 'silent ',
    act: (_, id) => {
      swarm.network.silence(id, drawMs(random))
      return true
    },
  }
  for (const moment of moments) if (random.next() < 0.1) strikeAt(swarm, moment, random, blow)
  silenceLater(swarm, random, untilMs)
}

function silenceLater(swarm: AllreduceSwarm, random: Random, untilMs: number): void {
  swarm.clock.setTimer(500 + random.integer(8_000), () => {
    if (swarm.clock.now() >= untilMs) return
    silenceSomebody(swarm, random)
    silenceLater(swarm, random, untilMs)
  })
}

function silenceSomebody({ network, log }: AllreduceSwarm, random: Random): void {
  const live = shuffled(network.live(), random)
  const durationMs = drawMs(random)
  const kind = random.integer(3)
  const size = kind === 2 ? 1 + random.integer(Math.max(1, live.length - 1)) : 1
  const isBothWays = kind !== 0
  for (const from of live.slice(0, size)) {
    for (const to of live.slice(size)) {
      network.mute(from, to, durationMs)
      if (isBothWays) network.mute(to, from, durationMs)
    }
  }
  log.note('silence')
}

function drawMs(random: Random): number {
  return random.integer(2) === 0 ? random.integer(shortMs) : shortMs + random.integer(longMs - shortMs)
}
