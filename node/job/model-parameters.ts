/** The trainable tensors of a job's model, for who only watches or exports: fetched and compiled, never run. */

import { CID } from 'multiformats/cid'
import { trainingSpec } from '../../engine/job-settings.ts'
import type { ParameterSpec } from '../../protocols/core/tensor.ts'
import type { Manifest } from '../../protocols/jobs/index.ts'
import { openNodeCompute } from '../compute/compute.ts'
import type { SwarmClient } from '../network/swarm-client.ts'

/**
 * A coordinator fetches a job's model when it takes the job up, and has it a few seconds later, or will never have it.
 */
const patienceMs = 30_000

/** @throws {SwarmError} BLOCK_NOT_FOUND when the coordinator does not have the model. */
export async function modelParameters(
  { node, coordinator }: SwarmClient,
  { model, train }: Manifest,
  { signal }: { signal: AbortSignal },
): Promise<readonly ParameterSpec[]> {
  const bytes = await node.services.shards.fetchFile(CID.parse(model.cid), {
    signal,
    peers: () => [coordinator],
    patienceMs,
  })
  const compute = openNodeCompute()
  try {
    const spec = trainingSpec(model, train)
    return (await compute.open(bytes, spec, { backend: 'auto', threads: 1 }, { signal })).parameters
  } finally {
    await compute.close()
  }
}
