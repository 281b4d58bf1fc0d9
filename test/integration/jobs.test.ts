import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Libp2p, PrivateKey } from '@libp2p/interface'
import { afterEach, expect, test } from 'vitest'
import { createNode } from '../../node/network/libp2p.ts'
import type { BaseServices } from '../../node/peer/network.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import {
  createManifest,
  type JobNotice,
  type Jobs,
  type JobsInit,
  jobs,
  type SignedJob,
  sealManifest,
  statementKind,
  statusOf,
} from '../../protocols/jobs/index.ts'
import { sealStatement } from '../../protocols/jobs/signed.ts'
import { manifestInit, root } from '../unit/jobs/example.ts'

type Peer = Libp2p<BaseServices & { jobs: Jobs }> & { key: PrivateKey; id: string }

const running: Peer[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

async function peer(init?: JobsInit): Promise<Peer> {
  const key = await generateKeyPair('Ed25519')
  const node = await createNode<{ jobs: Jobs }>({
    identity: key,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    services: { jobs: jobs(init) },
  })
  const started = Object.assign(node, { key, id: node.peerId.toString() })
  running.push(started)
  return started
}

/** Resolves with the first notice of `kind` that `node` gives from now on. */
function next<Kind extends JobNotice['kind']>(
  node: Peer,
  kind: Kind,
): Promise<Extract<JobNotice, { kind: Kind }>> {
  return new Promise((resolve) => {
    const off = node.services.jobs.on((notice) => {
      if (notice.kind !== kind) return
      off()
      resolve(notice as Extract<JobNotice, { kind: Kind }>)
    })
  })
}

/** Resolves when `count` others have told `node` that they listen to `topic`. */
async function listeners(node: Peer, topic: string, count: number): Promise<void> {
  const { pubsub } = node.services
  while (pubsub.getSubscribers(topic).length < count) {
    await new Promise((resolve) => pubsub.addEventListener('subscription-change', resolve, { once: true }))
  }
}

async function signedBy(owner: Peer, coordinator: Peer, changes: object = {}): Promise<SignedJob> {
  const init = manifestInit({
    owner: owner.id,
    coordinators: [coordinator.id],
    created: Date.now(),
    ...changes,
  })
  return sealManifest(createManifest({ ...init, expires: init.created + 3_600_000 }), owner.key)
}

const report = (round: number) => ({
  round,
  root,
  weight: 96 * round,
  phase: 'training' as const,
  loss: 1.5,
  isLossNotFinite: false,
  samplesTrained: 32 * round,
  samplesPerSecond: 250.5,
  uploadedBytes: 10,
  downloadedBytes: 20,
})

test('a job that an owner submits reaches every peer by gossip, and its verdict ends it everywhere', async () => {
  const [owner, coordinator, tab] = await Promise.all([peer(), peer(), peer()])
  await owner.dial(coordinator.getMultiaddrs())
  await tab.dial(coordinator.getMultiaddrs())
  await listeners(coordinator, '/starling/jobs/1', 2)

  const { job, envelope } = await signedBy(owner, coordinator)
  const added = next(tab, 'added')
  await owner.services.jobs.requestFrom(coordinator.id).submit(envelope)
  expect((await added).job).toBe(job)
  expect(await owner.services.jobs.requestFrom(coordinator.id).list()).toMatchObject([
    { job, name: 'glyphs-cnn', owner: owner.id, status: 'open', round: 0, peers: 0 },
  ])

  // progress of the tab reaches the coordinator, under the tab's own name
  const heard: JobNotice[] = []
  coordinator.services.jobs.follow(job, (notice) => heard.push(notice))
  tab.services.jobs.follow(job, () => {})
  await listeners(tab, `/starling/run/${job}/1`, 1)
  await listeners(coordinator, `/starling/run/${job}/1`, 1)
  const progressed = next(coordinator, 'progress')
  tab.services.jobs.publishProgress(job, report(3))
  expect(await progressed).toMatchObject({ job, peer: tab.id, progress: report(3) })
  expect(heard).toHaveLength(1)

  const concluded = next(tab, 'verdict')
  const statement = { job, at: Date.now(), rounds: 3 }
  await coordinator.services.jobs.publishStatement({
    kind: statementKind.verdict,
    ...statement,
    verdict: 'converged',
    reason: 'val_accuracy 0.98 reached the target 0.97',
    state: { round: 3, root },
    value: 0.98,
  })
  expect(await concluded).toMatchObject({
    signer: coordinator.id,
    verdict: { verdict: 'converged', value: 0.98 },
  })

  const shown = await coordinator.services.jobs.requestFrom(tab.id).show(job)
  expect(shown.progress).toEqual([{ peer: tab.id, ...report(3), at: expect.any(Number) }])
  expect(shown.statements).toMatchObject([{ signer: coordinator.id, statement: { verdict: 'converged' } }])
})

test('a peer that comes late learns a job and how it ended from any peer, without gossip', async () => {
  const [owner, witness] = await Promise.all([peer(), peer()])
  await owner.dial(witness.getMultiaddrs())
  const { job, envelope } = await signedBy(owner, owner)
  const seen = next(witness, 'added')
  await owner.services.jobs.requestFrom(witness.id).submit(envelope)
  await seen
  const stopped = next(witness, 'stopped')
  const stop = { kind: statementKind.stop, job, at: Date.now(), reason: 'enough' }
  await owner.services.jobs.requestFrom(witness.id).stop((await sealStatement(stop, owner.key)).envelope)
  await stopped

  const late = await peer()
  const notices: JobNotice[] = []
  late.services.jobs.on((notice) => {
    notices.push(notice)
    if (notice.kind === 'added') expect(statusOf(notice.record)).toBe('stopped') // nobody begins what is over
  })
  const learnt = next(late, 'stopped')
  await late.dial(witness.getMultiaddrs())
  await learnt
  expect(notices).toMatchObject([
    { kind: 'added', job },
    { kind: 'stopped', job, stop: { reason: 'enough' } },
  ])
  expect(late.services.jobs.list()).toMatchObject([{ job, status: 'stopped' }])
})

test('a late comer that does not want one job still learns the others, and does not ask for it again', async () => {
  const owner = await peer()
  const unwanted = await signedBy(owner, owner, { name: 'unwanted' })
  const wanted = await signedBy(owner, owner, { name: 'wanted' })
  await owner.services.jobs.announce(unwanted.envelope)
  await owner.services.jobs.announce(wanted.envelope)
  let asked = 0
  const late = await peer({
    admit: ({ manifest }) => {
      if (manifest.name !== 'unwanted') return
      asked++
      throw new SwarmError('REFUSED', 'not for this donor')
    },
  })
  const added = next(late, 'added')
  const refused = next(late, 'refused')
  await late.dial(owner.getMultiaddrs())
  expect((await added).job).toBe(wanted.job)
  expect(await refused).toMatchObject({ from: owner.id, code: 'REFUSED', reason: 'not for this donor' })

  // away while a third job is announced
  await late.hangUp(owner.peerId)
  const third = await signedBy(owner, owner, { name: 'third' })
  await owner.services.jobs.announce(third.envelope)
  const again = next(late, 'added')
  await late.dial(owner.getMultiaddrs())
  expect((await again).job).toBe(third.job)
  expect(asked).toBe(1)
})

test('a coordinator refuses what is forged, expired, unknown or not wanted, and says why', async () => {
  const admit = ({ manifest }: SignedJob) => {
    if (manifest.name === 'unwanted') throw new SwarmError('REFUSED', 'this owner is not on the list')
  }
  const [owner, coordinator, mallory] = await Promise.all([peer(), peer({ admit }), peer()])
  await owner.dial(coordinator.getMultiaddrs())
  await mallory.dial(coordinator.getMultiaddrs())
  const ask = owner.services.jobs.requestFrom(coordinator.id)

  const good = await signedBy(owner, coordinator)
  const forged = good.envelope.slice()
  forged[forged.length - 1]! ^= 1
  await expect(ask.submit(forged)).rejects.toMatchObject({ code: 'SIGNATURE_INVALID', peer: coordinator.id })
  await expect(ask.submit(Uint8Array.of(1, 2, 3))).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' })
  const old = await signedBy(owner, coordinator, { created: Date.now() - 7_200_000 })
  await expect(ask.submit(old.envelope)).rejects.toMatchObject({ code: 'EXPIRED' })
  const unwanted = await signedBy(owner, coordinator, { name: 'unwanted' })
  await expect(ask.submit(unwanted.envelope)).rejects.toThrow('this owner is not on the list')
  await expect(ask.get(good.job)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await expect(ask.get('nonsense')).rejects.toMatchObject({ code: 'MESSAGE_INVALID' })

  await ask.submit(good.envelope)
  const stop = { kind: statementKind.stop, job: good.job, at: Date.now(), reason: 'mine now' }
  const byMallory = await sealStatement(stop, mallory.key)
  await expect(
    mallory.services.jobs.requestFrom(coordinator.id).stop(byMallory.envelope),
  ).rejects.toMatchObject({
    code: 'REFUSED',
    message: expect.stringContaining('no owner'),
  })
  expect(coordinator.services.jobs.list()).toMatchObject([{ status: 'open' }])
})

test('gossip that is no message about jobs is not passed on, and changes nothing', async () => {
  const [sender, between, far] = await Promise.all([peer(), peer(), peer()])
  await sender.dial(between.getMultiaddrs())
  await far.dial(between.getMultiaddrs())
  await listeners(between, '/starling/jobs/1', 2)
  await listeners(sender, '/starling/jobs/1', 1)
  await listeners(far, '/starling/jobs/1', 1)
  const delivered: string[] = []
  far.services.pubsub.addEventListener('message', ({ detail }) => delivered.push(detail.topic))
  await sender.services.pubsub.publish('/starling/jobs/1', Uint8Array.of(1, 2, 3))

  // a good announcement after the bad one arrives alone: gossip keeps the order of one sender
  const { job, envelope } = await signedBy(sender, sender)
  const added = next(far, 'added')
  await sender.services.jobs.announce(envelope)
  expect((await added).job).toBe(job)
  expect(delivered).toEqual(['/starling/jobs/1'])
})

test('asking a peer that is not there fails with a remedy, and asking can be cancelled', async () => {
  const [asker, gone] = await Promise.all([peer(), peer()])
  await asker.dial(gone.getMultiaddrs())
  await gone.stop()
  await expect(asker.services.jobs.requestFrom(gone.id).list()).rejects.toMatchObject({
    code: 'PEER_UNREACHABLE',
    hint: expect.any(String),
  })
  const reason = new Error('not now')
  const call = asker.services.jobs.requestFrom(gone.id).list({ signal: AbortSignal.abort(reason) })
  await expect(call).rejects.toBe(reason)
})
