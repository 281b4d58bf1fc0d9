/**
 * What it costs the others when a peer falls silent at a moment of a round: nobody closes its connections, and nothing
 * comes over them for five minutes. A quick network and short training, so that what is left is waiting.
 */

import { isData } from '../protocols/allreduce/round/vocabulary.ts'
import { rowPeersMax } from '../protocols/core/limits.ts'
import { codecFor } from '../protocols/wire/codecs/index.ts'
import { calmNetwork, drawOptions } from './allreduce-scenario.ts'
import { AllreduceSwarm, type SwarmOptions } from './allreduce-swarm.ts'
import { deadlyGridMoments, deadlyMoments, strikeAt } from './deadly-moments.ts'

export interface SilencedRoundInit {
  seed: number
  /** More than `rowPeersMax`: a grid. */
  peers: number
  /** One of `silencedMoments`. */
  moment: string
  /** False: silent links are noticed when their connections are given up. */
  hearsSilence: boolean
  /**
   * Bytes per second of each peer's uplink, over which it gives 64 parts of 65,536 values in f32: 16 MiB. Default: parts
   * of a few bytes on links that carry them at once.
   */
  uplink?: number | undefined
}

/** Elements of a part that is computed, and of the one that it stands for. */
const sketchElements = 8
const partElements = 65_536

/** How long the victim is silent: longer than anything waits. */
const silenceMs = 300_000

/** Virtual time in which the moment must have come. */
const strikeMsMax = 300_000

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
  uplink,
}: SilencedRoundInit): number | undefined {
  const parts = uplink === undefined ? 9 : 64
  const swarm = new AllreduceSwarm(
    drawOptions(seed, {
      peers,
      peersMin: Math.floor(peers / 2) + 1,
      codec: 'f32',
      partition: { elements: parts * sketchElements, partElements: sketchElements },
      conditions: calmNetwork,
      ...(uplink === undefined ? {} : onUplinks(uplink, peers)),
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

/** Real parts on links of which each has its share of its sender's uplink. */
function onUplinks(uplink: number, peers: number): Pick<SwarmOptions, 'conditions' | 'model'> {
  const scale = partElements / sketchElements
  return {
    conditions: { ...calmNetwork, bytesPerSecond: uplink / (peers - 1) },
    model: {
      encodedBytes: (elements) => codecFor('f32').encodedBytes(elements) * scale,
      frameBytes: (message, frame) => (isData(message) ? frame.length * scale : frame.length),
      reach: () => ({ bandwidth: uplink, place: undefined }),
      firstRound: 0,
    },
  }
}
