/**
 * Follows a run to its end and tells it as events; at the verdict, fetches the state that was judged best and writes
 * the trained model.
 */

import { type Clock, systemClock } from '../../protocols/core/clock.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import type { ParameterSpec } from '../../protocols/core/tensor.ts'
import type { Manifest, Verdict } from '../../protocols/jobs/index.ts'
import { isFinal, watchingReason } from '../../protocols/jobs/index.ts'
import type { SwarmClient } from '../network/swarm-client.ts'
import { coordinatorNotice } from './coordinator-notice.ts'
import type { RunEnd, RunEvent } from './run-events.ts'
import { RunNarrator } from './run-narrator.ts'
import { trainedModel, writeModel } from './trained-model.ts'
import { tellWaiting } from './waiting-notice.ts'

/** The coordinator keeps the best state, so it answers at once or not at all. */
const modelMsMax = 60_000

export interface FollowRunInit {
  client: SwarmClient
  job: string
  manifest: Manifest
  /** The model's trainable tensors. */
  parameters: readonly ParameterSpec[]
  /** Where the trained model goes; `undefined`: it is not fetched. */
  modelPath: string | undefined
  /** A better name for a peer than its id. */
  nameOf?(peer: string): string | undefined
  /** Return as soon as the coordinator needs this process no more. */
  isDetached: boolean
  /** What to type elsewhere to give compute to this run; absent when that is not this command's to say. */
  howToJoin?: string
  /** Since the command began. */
  seconds(): number
  emit(event: RunEvent): void
  /** Default: the system's. */
  clock?: Clock
}

type Outcome =
  | { kind: 'verdict'; verdict: Verdict }
  | { kind: 'stopped'; reason: string }
  | { kind: 'detached' }

/**
 * @returns how the run ended, or `detached` once the coordinator holds model and data.
 * @throws {unknown} `signal.reason`.
 */
export async function followRun(
  init: FollowRunInit,
  { signal }: { signal: AbortSignal },
): Promise<RunEnd | 'detached'> {
  const { client, job, manifest, parameters, emit, seconds } = init
  const { jobs, discovery } = client.node.services
  const { convergence, swarm } = manifest
  emit({
    event: 'started',
    seconds: seconds(),
    job,
    name: manifest.name,
    parameters: parameters.reduce((sum, { length }) => sum + length, 0),
    metric: convergence.metric,
    target: convergence.target ?? null,
    max_rounds: convergence.maxRounds,
    min_peers: swarm.minPeers,
  })
  const narrator = new RunNarrator({
    manifest,
    record: (peer) => discovery.peers().find((record) => record.peer === peer),
    nameOf: init.nameOf,
    seconds,
    emit,
  })
  const stopPeers = tellOfPeers(init, narrator)
  const outcome = await new Promise<Outcome>((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    const unfollow = jobs.follow(job, (notice) => {
      narrator.takeNotice(notice)
      if (notice.kind === 'verdict' && isTrouble(notice.verdict)) emit(notMeasured(seconds(), notice.verdict))
      const found = outcomeOf(notice, init.isDetached)
      if (found === undefined) return
      queueMicrotask(() => unfollow())
      signal.removeEventListener('abort', onAbort)
      resolve(found)
    })
  }).finally(() => {
    stopPeers()
  })

  if (outcome.kind === 'detached') return 'detached'
  const end = outcome.kind === 'verdict' ? (outcome.verdict.verdict as RunEnd) : 'stopped'
  const verdict = outcome.kind === 'verdict' ? outcome.verdict : undefined
  const { reason } = outcome.kind === 'verdict' ? outcome.verdict : outcome
  if (end !== 'converged')
    emit({ event: 'warning', seconds: seconds(), message: `The run has ended, since ${reason}.` })
  const model = await fetchModel(init, verdict, signal)
  emit({
    event: 'verdict',
    verdict: end,
    metric: convergence.metric,
    value: verdict?.value ?? null,
    rounds: verdict?.rounds ?? 0,
    peers: narrator.peers.size,
    seconds: seconds(),
    uploaded_bytes_per_peer: narrator.uploadedBytesPerPeer,
    model,
  })
  return end
}

/** Tells who comes and goes, what the run waits for while it has not begun, and who cannot take part in it together. */
function tellOfPeers(init: FollowRunInit, narrator: RunNarrator): () => void {
  const { client, job, manifest, emit, seconds, clock = systemClock } = init
  const { coordinator, node } = client
  const { discovery, versions } = node.services
  const ofCoordinator = coordinatorNotice({
    coordinator,
    isConnected: () => node.libp2p.getPeers().some((peer) => peer.toString() === coordinator),
    seconds,
    emit,
  })
  const stops = [
    discovery.on((effect) => {
      narrator.takeDiscovery(effect)
      ofCoordinator(effect)
    }),
    versions.follow(({ message, hint }) => emit({ event: 'warning', seconds: seconds(), message, hint })),
    tellWaiting({
      count: () => narrator.peers.size,
      wanted: manifest.swarm.minPeers,
      hasBegun: () => narrator.hasBegun,
      // connected, they say which versions they speak
      onLook: (hasBegun) => discovery.seek(hasBegun ? undefined : job),
      howToJoin: init.howToJoin,
      clock,
      say: (sentence) => emit({ event: 'phase', seconds: seconds(), sentence }),
    }),
  ]
  return () => {
    for (const stop of stops) stop()
    discovery.seek(undefined)
  }
}

/** The run goes on, but something keeps the coordinator from measuring it. */
function isTrouble(verdict: Verdict): boolean {
  return !isFinal(verdict) && verdict.reason !== watchingReason
}

function notMeasured(seconds: number, { reason }: Verdict): RunEvent {
  return {
    event: 'warning',
    seconds,
    message: `${reason.charAt(0).toUpperCase()}${reason.slice(1)}.`,
    hint: 'It tries again until the job has used up its minutes; `starling stop` ends the job now.',
  }
}

function outcomeOf(
  notice: Parameters<RunNarrator['takeNotice']>[0],
  isDetached: boolean,
): Outcome | undefined {
  if (notice.kind === 'stopped') return { kind: 'stopped', reason: notice.stop.reason }
  if (notice.kind === 'forgotten')
    return { kind: 'stopped', reason: 'the job has expired, or given its place to another' }
  if (notice.kind !== 'verdict') return undefined
  if (isFinal(notice.verdict)) return { kind: 'verdict', verdict: notice.verdict }
  return isDetached && !isTrouble(notice.verdict) ? { kind: 'detached' } : undefined
}

/** Path of the written model; `null` when there is no state to write or nobody holds it, which is told. */
async function fetchModel(
  { client, job, manifest, parameters, modelPath, emit, seconds }: FollowRunInit,
  verdict: Verdict | undefined,
  signal: AbortSignal,
): Promise<string | null> {
  const state = verdict?.state
  if (modelPath === undefined || state === undefined || state === null) return null
  try {
    const bytes = await trainedModel(
      {
        node: client.node,
        job,
        manifest,
        parameters,
        root: state.root,
        peers: [client.coordinator],
      },
      { signal: AbortSignal.any([signal, AbortSignal.timeout(modelMsMax)]) },
    )
    await writeModel(modelPath, bytes)
    return modelPath
  } catch (error) {
    signal.throwIfAborted()
    const { message, hint } =
      error instanceof SwarmError ? error : { message: String(error), hint: undefined }
    emit({
      event: 'warning',
      seconds: seconds(),
      message: `The trained model was not written: ${message}`,
      hint,
    })
    return null
  }
}
