import { decodeMessage } from '../../protocols/allreduce/messages.ts'
import type { CommittedRound } from '../../protocols/allreduce/round/events.ts'
import type { Message } from '../../protocols/allreduce/round/vocabulary.ts'
import { drawGrid } from '../../simulator/allreduce-scenario.ts'
import { AllreduceSwarm, type SwarmOptions } from '../../simulator/allreduce-swarm.ts'

/** 36 peers on a quick network, past the founding, which is one row's. */
export function sixRows(seed: number, overrides: Partial<SwarmOptions> = {}): AllreduceSwarm {
  const swarm = new AllreduceSwarm({
    ...drawGrid(seed),
    peers: 36,
    codec: 'f32',
    partition: { elements: 24, partElements: 4 },
    conditions: { delayMs: [5, 30], jitterMs: 5, bytesPerSecond: 1e6, detectMs: 200, reconnectMs: 500 },
    trainingMs: 2_000,
    slow: new Map(),
    ...overrides,
  })
  swarm.found()
  return swarm
}

/** Everybody commits one more round; returns what it came to. */
export function nextRound(swarm: AllreduceSwarm): CommittedRound {
  const { round } = swarm
  swarm.runUntil(() => swarm.live().every(({ base }) => (base?.round ?? 0) > round), 'a round', 400_000)
  return swarm.outcomes.find((outcome) => outcome.round === round)!
}

/** From now on no peer hears what `isLost`; the count of what was lost so far. */
export function lose(swarm: AllreduceSwarm, isLost: (from: string, to: string, message: Message) => boolean) {
  let count = 0
  for (const [id, peer] of swarm.peers) {
    const receive = peer.receive.bind(peer)
    peer.receive = (from, bytes) => {
      if (isLost(from, id, decodeMessage(bytes))) count++
      else receive(from, bytes)
    }
  }
  return () => count
}
