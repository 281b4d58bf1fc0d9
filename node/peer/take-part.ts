/**
 * A peer's part in the rounds of a run: brings trainer, samples, averaging, gossip and states together, and leaves
 * well. protocols/run does the rest. The job's model is open already (prepare.ts).
 */

import { type BatchSpec, batch } from '../../data/batch.ts'
import type { Split } from '../../data/data-set.ts'
import { sampleAt } from '../../data/sampler.ts'
import { outerOptimizer } from '../../engine/job-settings.ts'
import type { AllreduceEvent, PledgeStore } from '../../protocols/allreduce/index.ts'
import { type Clock, systemClock } from '../../protocols/core/clock.ts'
import { StateArchive } from '../../protocols/run/archive.ts'
import { stateBlocks } from '../../protocols/run/blocks.ts'
import { runGossip } from '../../protocols/run/gossip.ts'
import { RunPeer, type RunPeerEvent } from '../../protocols/run/peer.ts'
import type { Samples, StateStore } from '../../protocols/run/ports.ts'
import type { SwarmPeer } from './network.ts'
import type { PreparedJob } from './prepare.ts'
import { runPlan } from './run-plan.ts'

export type PartEvent = RunPeerEvent | { kind: 'averaging'; event: AllreduceEvent }

/** What outlives the process of a peer in one run. */
export interface RunStore extends StateStore {
  pledges: PledgeStore
}

export interface PartInit {
  peer: SwarmPeer
  prepared: PreparedJob
  /** Others cannot open connections to this peer, so it reduces nothing. Default false. */
  isClientOnly?: boolean
  /** Absent: a next life of this peer remembers nothing. */
  store?: RunStore | undefined
  clock?: Clock
  /** Asked before each update: whether bytes are scarce; the peer then gives smaller updates and reduces nothing. */
  savesData?: () => boolean
  /**
   * For how many milliseconds, once the signal has aborted, what was given to a round may still be handed over.
   * Default 0.
   */
  handOverMs?: () => number
  onEvent?: (event: PartEvent) => void
}

/**
 * Takes part in the rounds until `signal` aborts; then says goodbye to the others and hands over.
 * @throws {unknown} `signal.reason`, once the others have been told.
 * @throws {SwarmError} when this machine cannot train the job: OUT_OF_MEMORY, BACKEND_FAILED, DATA_INVALID,
 * STORAGE_FAILED.
 */
export async function takePart(
  {
    peer,
    prepared,
    isClientOnly,
    store,
    clock = systemClock,
    savesData,
    handOverMs = () => 0,
    onEvent,
  }: PartInit,
  { signal }: { signal: AbortSignal },
): Promise<never> {
  const { signed, opened, compute, dataSet } = prepared
  const { manifest, job } = signed
  const { services, self } = peer
  const optimizer = outerOptimizer(manifest.train, manifest.swarm.outer, opened.parameters)
  const averaging = await services.allreduce.open({
    job,
    parameterCount: opened.parameterCount,
    codec: manifest.swarm.codec,
    topkKept: manifest.swarm.topkKept,
    peersMin: manifest.swarm.minPeers,
    isClientOnly,
    place: () => services.discovery.place,
    pledges: store?.pledges,
    onEvent: (event) => onEvent?.({ kind: 'averaging', event }),
  })
  const archive = new StateArchive(manifest.convergence.evaluateEvery)
  const forget = services.shards.addSource(archive)
  const gossip = runGossip({
    job,
    self,
    jobs: services.jobs,
    traffic: () => averaging.traffic,
    onReport: ({ round, root, weight }) => services.discovery.setSelf({ job: { job, round, root, weight } }),
    clock,
  })
  const linkWithPeers = () => averaging.setPeers([...gossip.standings().keys()])
  const stopLinking = services.jobs.on((notice) => {
    if (notice.kind === 'progress' && notice.job === job) linkWithPeers()
  })
  linkWithPeers()
  const run = new RunPeer({
    self,
    plan: runPlan(signed, optimizer.learningRate),
    initial: opened.initial,
    trainer: compute,
    samples: samplesOf(dataSet.train, manifest.train.seed, { ...opened, fields: manifest.model.inputs }),
    outerOptimizer: optimizer,
    averaging,
    gossip,
    blocks: stateBlocks(services.shards),
    archive,
    store,
    clock,
    savesData,
    onEvent,
  })
  try {
    return await run.run({ signal })
  } finally {
    await averaging.leave({ withinMs: handOverMs() })
    stopLinking()
    gossip.close()
    services.discovery.setSelf({ job: undefined })
    forget()
  }
}

function samplesOf(split: Split, seed: number, spec: BatchSpec): Samples {
  return {
    batch: (positions) =>
      batch(
        split,
        positions.map((position) => sampleAt(seed, split.count, position)),
        spec,
      ),
  }
}
