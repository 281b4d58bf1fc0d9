/**
 * Makes a job ready to train: fetches model and data from the swarm, and opens the model in the compute worker. What it
 * leaves can be trained any number of times; a donor who pauses and comes back does not pay for it again.
 */

import type { DataSet } from '../../data/data-set.ts'
import type { BackendChoice, Compute, OpenedModel } from '../../engine/compute/compute.ts'
import { trainingSpec } from '../../engine/job-settings.ts'
import { type Clock, systemClock } from '../../protocols/core/clock.ts'
import type { SignedJob } from '../../protocols/jobs/index.ts'
import type { FetchProgress } from '../../protocols/shards/index.ts'
import { fetchMaterial } from './job-material.ts'
import type { SwarmPeer } from './network.ts'

export interface PrepareInit {
  peer: SwarmPeer
  signed: SignedJob
  /** Borrowed: the caller closes it. */
  compute: Compute
  backend: BackendChoice
  threads: number
  /** Bytes that a step may take by estimate. Default: no limit. */
  memoryBytesMax?: number | undefined
  clock?: Clock
  onEvent?: (event: PrepareEvent) => void
}

export type PrepareEvent =
  | { kind: 'fetching'; what: 'model' | 'data'; progress: FetchProgress }
  | { kind: 'opened'; model: OpenedModel; seconds: number }

/** A job whose model is open in `compute`. */
export interface PreparedJob {
  signed: SignedJob
  compute: Compute
  opened: OpenedModel
  dataSet: DataSet
}

/**
 * Fetches and opens; meanwhile the peers of the job are looked for.
 * @throws {SwarmError} when this machine cannot run the job: MODEL_UNSUPPORTED, OUT_OF_MEMORY, BACKEND_FAILED, and what
 * {@link fetchMaterial} throws.
 * @throws {unknown} `signal.reason`.
 */
export async function prepareJob(
  { peer, signed, compute, backend, threads, memoryBytesMax, clock = systemClock, onEvent }: PrepareInit,
  { signal }: { signal: AbortSignal },
): Promise<PreparedJob> {
  const { manifest, job } = signed
  const { services } = peer
  services.discovery.seek(job)
  const { model, dataSet } = await fetchMaterial(
    {
      manifest,
      shards: services.shards,
      onProgress: (what, progress) => onEvent?.({ kind: 'fetching', what, progress }),
    },
    { signal },
  )
  const startedMs = clock.now()
  const spec = trainingSpec(manifest.model, manifest.train)
  const opened = await compute.open(model, spec, { backend, threads, memoryBytesMax }, { signal })
  services.discovery.setSelf({ backend: opened.backend })
  onEvent?.({ kind: 'opened', model: opened, seconds: (clock.now() - startedMs) / 1000 })
  return { signed, compute, opened, dataSet }
}
