/**
 * Training peers inside this process: each a whole node with connections of its own on loopback and a compute worker,
 * so that a test can read the parameters they come to. Everything is closed when the test ends.
 */

import { onTestFinished } from 'vitest'
import { type DataSet, inputShape } from '../../../data/data-set.ts'
import { encodeDataSet } from '../../../data/shards.ts'
import { openSwarmNode, passingHome, type SwarmNode } from '../../../node/network/swarm-node.ts'
import { participate } from '../../../node/run/participate.ts'
import { createManifest, type Manifest, type SignedJob, sealManifest } from '../../../protocols/jobs/index.ts'
import type { RunPeerEvent } from '../../../protocols/run/peer.ts'
import { putFile } from '../../../protocols/shards/index.ts'

/** What a run is made of. */
export interface Task {
  /** ONNX file of a classifier. */
  model: Uint8Array
  dataSet: DataSet
  train: Manifest['train']
  swarm: Manifest['swarm']
  /** The peers stop after so many. */
  rounds: number
}

export type Committed = Extract<RunPeerEvent, { kind: 'committed' }>

/** A peer that knows those at `bootstrap`; with none it is the swarm's first. */
export async function startPeer(bootstrap: readonly string[]): Promise<SwarmNode> {
  const role = bootstrap.length === 0 ? 'coordinator' : 'node'
  const node = await openSwarmNode({
    ...(await passingHome()),
    listen: ['/ip4/127.0.0.1/tcp/0'],
    bootstrap,
    self: { role, backend: 'native', threads: 1, clientOnly: false },
  })
  onTestFinished(() => node.close())
  return node
}

/** Announces the job of `task`, signed by `owner`, who serves its model and data. */
export async function announce(
  { model, dataSet, train, swarm, rounds }: Task,
  owner: SwarmNode,
): Promise<SignedJob> {
  const modelCid = await putFile(owner.store, model)
  const data = await encodeDataSet(dataSet)
  for (const { cid, bytes } of data.blocks) await owner.store.put(cid, bytes)
  const created = Date.now()
  const manifest = createManifest({
    name: 'in-process',
    owner: owner.self,
    coordinators: [owner.self],
    model: { cid: modelCid.toString(), bytes: model.byteLength, loss: 'softmax_cross_entropy' },
    data: {
      cid: data.root.toString(),
      bytes: data.bytes,
      kind: dataSet.kind,
      sampleShape: inputShape(dataSet),
      classes: dataSet.classes,
      trainCount: dataSet.train.count,
      validationCount: dataSet.validation.count,
    },
    train,
    swarm,
    convergence: {
      metric: 'val_loss',
      mode: 'min',
      patience: 1,
      minDelta: 0,
      evaluateEvery: rounds,
      maxRounds: rounds,
      maxMinutes: 10,
    },
    created,
    expires: created + 3_600_000,
    nonce: crypto.getRandomValues(new Uint8Array(16)),
  })
  const signed = await sealManifest(manifest, owner.key)
  await owner.services.jobs.announce(signed.envelope)
  return signed
}

/** Resolves when `node` has heard of `job`. */
export function hears({ services: { jobs } }: SwarmNode, job: string): Promise<void> {
  return new Promise((resolve) => {
    if (jobs.list().some((summary) => summary.job === job)) return resolve()
    const off = jobs.on((notice) => {
      if (notice.kind !== 'added' || notice.job !== job) return
      off()
      resolve()
    })
  })
}

/**
 * Resolves after `rounds` rounds with what each came to; the peer goes on serving its last state until the test ends.
 */
export function train(node: SwarmNode, signed: SignedJob, rounds: number): Promise<Committed[]> {
  const stop = new AbortController()
  const committed: Committed[] = []
  return new Promise((resolve, reject) => {
    const onEvent = (event: { kind: string }) => {
      if (event.kind === 'committed' && committed.push(event as Committed) === rounds) resolve(committed)
    }
    const options = { node, signed, backend: 'native', threads: 1, isClientOnly: false, onEvent } as const
    const ended = participate(options, { signal: stop.signal }).catch((error: unknown) => {
      if (!stop.signal.aborted) reject(error)
    })
    onTestFinished(async () => {
      stop.abort()
      await ended
    })
  })
}
