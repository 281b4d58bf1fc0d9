import { calmNetwork, drawOptions } from '../../simulator/allreduce-scenario.ts'
import { AllreduceSwarm, type SwarmOptions } from '../../simulator/allreduce-swarm.ts'

/** Five peers on a quick network, so that a test is about its one fault. */
export function calmSwarm(seed: number, overrides: Partial<SwarmOptions> = {}): AllreduceSwarm {
  const partition = { elements: 70, partElements: 8 }
  const base: Partial<SwarmOptions> = {
    peers: 5,
    peersMin: 3,
    codec: 'f32',
    conditions: calmNetwork,
    partition,
    trainingMs: 1_000,
  }
  return new AllreduceSwarm(drawOptions(seed, { ...base, slow: new Map(), ...overrides }))
}
