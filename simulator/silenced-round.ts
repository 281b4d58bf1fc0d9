/**
 * What it costs the others when a peer falls silent at a moment of a round: nobody closes its connections, and nothing
 * comes over them for five minutes. A quick network and short training, so that what is left is waiting.
 */

import { rowPeersMax } from '../protocols/core/limits.ts'
import { calmNetwork, drawOptions } from './allreduce-scenario.ts'
import { AllreduceSwarm } from './allreduce-swarm.ts'
import { deadlyGridMoments, deadlyMoments, strikeAt } from './deadly-moments.ts'

export interface SilencedRoundInit {
  seed: number
  /** More than `rowPeersMax`: a grid. */
  peers: number
  /** One of `silencedMoments`. */
  moment: string
  /** False: silent links are noticed when their connections are given up. */
  hearsSilence: boolean
}

/** How long the victim is silent: longer than anything waits. */
const silenceMs = 300_000

/** Virtual time in which the moment must have come. */
const strikeMsMax = 60_000

/** Moments at which a peer of a run of `peers` may fall silent. */
export function silencedMoments(peers: number): string[] {
  return Object.keys(peers > rowPeersMax ? { ...deadlyMoments, ...deadlyGridMoments } : deadlyMoments)
}

/**
 * Virtual milliseconds from the silence until all others have committed the round; undefined when the moment did not
 * come. Where a later leader is the victim, or hears of it, the first is killed before.
 * @throws {LivenessFailure}
 */
export function silencedRoundMs({
  seed,
  peers,
  moment,
  hearsSilence,
}: SilencedRoundInit): number | undefined {
  const swarm = new AllreduceSwarm(
    drawOptions(seed, {
      peers,
      peersMin: Math.floor(peers / 2) + 1,
      codec: 'f32',
      partition: { elements: 72, partElements: 8 },
      conditions: calmNetwork,
      trainingMs: 2_000,
      slow: new Map(),
      skewOf: undefined,
      hearsSilence,
    }),
  )
  swarm.found()
  if (peers > rowPeersMax) swarm.runUntil(() => swarm.live().every(({ base }) => base!.round > 1), 'a grid')
  let victim: string | undefined
  let struckAtMs = 0
  let round = 0
  if (/prepares|promises/.test(moment)) strikeAt(swarm, 'leader as it plans', swarm.random)
  const act = (_: AllreduceSwarm, id: string): boolean => {
    victim = id
    struckAtMs = swarm.clock.now()
    round = swarm.peers.get(id)!.base?.round ?? swarm.round
    swarm.network.silence(id, silenceMs)
    return true
  }
  strikeAt(swarm, moment, swarm.random, { prefix: 'silent ', act })
  const untilMs = swarm.clock.now() + strikeMsMax
  while (victim === undefined && swarm.clock.runNext(untilMs));
  if (victim === undefined) return undefined
  const others = (): boolean =>
    swarm.live().every(({ id, base }) => id === victim || (base !== undefined && base.round > round))
  swarm.runUntil(others, `the round without a ${moment}`)
  return swarm.clock.now() - struckAtMs
}
