/**
 * A node's part in one job, from its signed manifest to the end of the run: fetch model and data, open the compute worker,
 * and bring the run's pieces together (protocols/run does the rest).
 */

import { type BatchSpec, batch } from '../data/batch.ts'
import type { Split } from '../data/data-set.ts'
import { sampleAt } from '../data/sampler.ts'
import type { BackendChoice, OpenedModel } from '../engine/compute/compute.ts'
import { learningRate, outerOptimizer, trainingSpec } from '../engine/job-settings.ts'
import type { AllreduceEvent } from '../protocols/allreduce/index.ts'
import { systemClock } from '../protocols/core/clock.ts'
import type { Manifest, SignedJob } from '../protocols/jobs/index.ts'
import { StateArchive } from '../protocols/run/archive.ts'
import { stateBlocks } from '../protocols/run/blocks.ts'
import { runGossip } from '../protocols/run/gossip.ts'
import { RunPeer, type RunPeerEvent } from '../protocols/run/peer.ts'
import type { Samples } from '../protocols/run/ports.ts'
import type { FetchProgress } from '../protocols/shards/index.ts'
import { openNodeCompute } from './compute.ts'
import { fetchMaterial } from './job-material.ts'
import { type Ended, listenForEnd } from './run-end.ts'
import type { SwarmNode } from './swarm-node.ts'

export interface ParticipationInit {
  node: SwarmNode
  signed: SignedJob
  backend: BackendChoice
  threads: number
  onEvent?: (event: ParticipationEvent) => void
}

/** One line of the node's log. */
export type ParticipationEvent =
  | RunPeerEvent
  | { kind: 'fetching'; what: 'model' | 'data'; progress: FetchProgress }
  | { kind: 'opened'; model: OpenedModel; seconds: number }
  | { kind: 'averaging'; event: AllreduceEvent }

/**
 * Takes part until the run ends or `signal` aborts.
 * @throws {SwarmError} when this machine cannot run the job: MODEL_UNSUPPORTED, OUT_OF_MEMORY, BACKEND_FAILED, DATA_INVALID.
 * @throws {unknown} `signal.reason`.
 */
export async function participate(
  init: ParticipationInit,
  { signal: stop }: { signal: AbortSignal },
): Promise<Ended> {
  const { node, signed, onEvent } = init
  const end = listenForEnd({ signed, jobs: node.services.jobs, clock: systemClock, epochMs: Date.now })
  const signal = AbortSignal.any([stop, end.signal])
  const compute = openNodeCompute()
  try {
    const { manifest } = signed
    const { services } = node
    const { model, dataSet } = await fetchMaterial(
      {
        manifest,
        shards: services.shards,
        onProgress: (what, progress) => onEvent?.({ kind: 'fetching', what, progress }),
      },
      { signal },
    )
    const startedMs = systemClock.now()
    const opened = await compute.open(
      model,
      trainingSpec(manifest.model.loss, manifest.train),
      { backend: init.backend, threads: init.threads },
      { signal },
    )
    services.discovery.setSelf({ backend: opened.backend })
    onEvent?.({ kind: 'opened', model: opened, seconds: (systemClock.now() - startedMs) / 1000 })
    return await train({ ...init, opened, compute, split: dataSet.train }, signal)
  } catch (error) {
    if (end.ended !== undefined && !stop.aborted) return end.ended
    throw error
  } finally {
    end.close()
    await compute.close()
  }
}

interface TrainInit extends ParticipationInit {
  opened: OpenedModel
  compute: ReturnType<typeof openNodeCompute>
  split: Split
}

async function train(
  { node, signed, opened, compute, split, onEvent }: TrainInit,
  signal: AbortSignal,
): Promise<never> {
  const { manifest, job } = signed
  const { services, self } = node
  const optimizer = outerOptimizer(manifest.train, manifest.swarm.outer, opened.parameters)
  const averaging = await services.allreduce.open({
    job,
    parameterCount: opened.parameterCount,
    codec: manifest.swarm.codec,
    peersMin: manifest.swarm.minPeers,
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
    clock: systemClock,
  })
  const linkWithPeers = () => averaging.setPeers([...gossip.standings().keys()])
  const stopLinking = services.jobs.on((notice) => {
    if (notice.kind === 'progress' && notice.job === job) linkWithPeers()
  })
  linkWithPeers()
  const peer = new RunPeer({
    self,
    plan: runPlan(job, manifest, optimizer.learningRate),
    initial: opened.initial,
    trainer: compute,
    samples: samplesOf(split, manifest.train.seed, opened),
    outerOptimizer: optimizer,
    averaging,
    gossip,
    blocks: stateBlocks(services.shards),
    archive,
    clock: systemClock,
    onEvent,
  })
  try {
    return await peer.run({ signal })
  } finally {
    stopLinking()
    gossip.close()
    services.discovery.setSelf({ job: undefined })
    forget()
    await averaging.leave()
  }
}

function runPlan(job: string, { train, swarm, convergence }: Manifest, outerRate: (round: number) => number) {
  return {
    job,
    batch: train.batchSize,
    localSteps: train.localSteps,
    peersMin: swarm.minPeers,
    roundsMax: convergence.maxRounds,
    localLearningRate: (step: number) => learningRate(train, step),
    outerLearningRate: outerRate,
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
