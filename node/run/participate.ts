/** A node's part in one job, from its signed manifest to the end of the run. */

import type { BackendChoice } from '../../engine/compute/compute.ts'
import { systemClock } from '../../protocols/core/clock.ts'
import type { SignedJob } from '../../protocols/jobs/index.ts'
import { openNodeCompute } from '../compute/compute.ts'
import type { SwarmPeer } from '../peer/network.ts'
import { type PrepareEvent, prepareJob } from '../peer/prepare.ts'
import { type Ended, listenForEnd } from '../peer/run-end.ts'
import { type PartEvent, takePart } from '../peer/take-part.ts'
import { KeptRun } from '../storage/kept-run.ts'

/**
 * What a node gave to a round is lost when it has to go sooner. A container that is stopped gets 10 s in all (Docker's
 * default), of which the rest of the goodbye needs two.
 */
const handOverMsMax = 8_000

export interface ParticipationInit {
  node: SwarmPeer
  signed: SignedJob
  backend: BackendChoice
  threads: number
  /** Bytes that a step may take by estimate. Default: no limit. */
  memoryBytesMax?: number | undefined
  /** Folder of what is kept of runs. Absent: a node that is killed remembers nothing. */
  runs?: string | undefined
  /** Others cannot open connections to this peer, so it reduces nothing. */
  isClientOnly: boolean
  onEvent?: (event: ParticipationEvent) => void
}

/** One line of the node's log. */
export type ParticipationEvent = PrepareEvent | PartEvent

/**
 * Takes part until the run ends or `signal` aborts.
 * @throws {SwarmError} when this machine cannot run the job: as {@link prepareJob} and {@link takePart}.
 * @throws {unknown} `signal.reason`.
 */
export async function participate(
  { node: peer, signed, runs, isClientOnly, onEvent, ...computing }: ParticipationInit,
  { signal: stop }: { signal: AbortSignal },
): Promise<Ended> {
  const end = listenForEnd({ signed, jobs: peer.services.jobs, clock: systemClock, epochMs: Date.now })
  const signal = AbortSignal.any([stop, end.signal])
  const compute = openNodeCompute()
  let store: KeptRun | undefined
  try {
    store = runs === undefined ? undefined : await KeptRun.open(runs, signed.job)
    const prepared = await prepareJob({ peer, signed, compute, ...computing, onEvent }, { signal })
    // once the run is over, nobody needs what this peer gave last
    const handOverMs = () => (end.ended === undefined ? handOverMsMax : 0)
    return await takePart({ peer, prepared, isClientOnly, store, handOverMs, onEvent }, { signal })
  } catch (error) {
    if (end.ended !== undefined && !stop.aborted) {
      await store?.forget()
      return end.ended
    }
    throw error
  } finally {
    await store?.close()
    end.close()
    peer.services.discovery.seek(undefined)
    await compute.close()
  }
}
