/**
 * What commands, nodes and tabs make of others, over real libp2p: of programs of other ages, which they tell apart, of
 * jobs of strangers that a coordinator knows, and of a node that is themselves.
 */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, onTestFinished, test } from 'vitest'
import { waitForJob } from '../../browser-client/peer/wait-for-job.ts'
import { modelParameters } from '../../node/job/model-parameters.ts'
import { createNode } from '../../node/network/libp2p.ts'
import { openSwarmNode, passingHome, type SwarmNode } from '../../node/network/swarm-node.ts'
import { followRun } from '../../node/run/follow-run.ts'
import type { RunEvent } from '../../node/run/run-events.ts'
import { claimFolder } from '../../node/storage/claimed-folder.ts'
import { systemClock } from '../../protocols/core/clock.ts'
import {
  createManifest,
  type SignedJob,
  sealManifest,
  sealStatement,
  statementKind,
} from '../../protocols/jobs/index.ts'
import { manifestInit } from '../unit/jobs/example.ts'
import { hurried } from './peers/clock.ts'
import { runCommand } from './peers/command.ts'
import { testFolder } from './peers/program.ts'

/** On a busy machine a connection takes seconds. */
const patient = { timeout: 20_000 }

/** A program that speaks `protocols` and gossips on `topics`, whatever Starling says to it. */
async function startOther(protocols: readonly string[], topics: readonly string[] = []) {
  const node = await createNode({
    identity: await generateKeyPair('Ed25519'),
    listen: ['/ip4/127.0.0.1/tcp/0'],
    services: {},
  })
  onTestFinished(() => node.stop())
  for (const protocol of protocols) await node.handle(protocol, () => {})
  for (const topic of topics) node.services.pubsub.subscribe(topic)
  return { id: node.peerId.toString(), address: String(node.getMultiaddrs()[0]) }
}

async function startNode(bootstrap: readonly string[] = [], clock = hurried): Promise<SwarmNode> {
  const node = await openSwarmNode({
    ...(await passingHome()),
    listen: ['/ip4/127.0.0.1/tcp/0'],
    bootstrap,
    self: { role: 'node', backend: 'native', threads: 1, clientOnly: false },
    clock,
    updateHere: 'Reload.',
  })
  onTestFinished(() => node.close())
  return node
}

/** The next mismatch that `node` tells of, or has found. */
function nextMismatch({ services }: SwarmNode) {
  return new Promise((resolve) => services.versions.follow(resolve))
}

test('a command says which versions a coordinator speaks that is newer, and ends with code 7', async () => {
  const { id, address } = await startOther(['/starling/jobs/2', '/starling/shards/1'])
  const { exitCode, stdout } = await runCommand(['list', '--json', '--coordinator', address])
  expect(exitCode).toBe(7)
  expect(JSON.parse(stdout).error).toEqual({
    code: 'VERSION_MISMATCH',
    message: `peer ${id} at ${address} speaks jobs/2; this program speaks jobs/1`,
    hint: 'Update Starling here: this program is the older one.',
  })
})

test('a node goes on when its coordinator speaks other versions, and says so in its log', async () => {
  const { id, address } = await startOther(['/starling/jobs/0', '/starling/shards/0'])
  const words = ['node', 'start', '--json', '--listen', '/ip4/127.0.0.1/tcp/0', '--coordinator', address]
  const { stdout } = await runCommand(words, 'version_mismatch')
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(lines.map(({ event }) => event)).toEqual(['ready', 'version_mismatch', 'stopped'])
  expect(lines[1]).toMatchObject({
    code: 'VERSION_MISMATCH',
    message: `peer ${id} at ${address} speaks jobs/0, shards/0; this program speaks jobs/1, shards/1`,
    hint: expect.stringMatching(
      /^Whoever runs peer 12D3Koo\w+.* has to update Starling: that program is the older one\.$/,
    ),
  })
})

test('a second node of one home is refused: it would be the same peer, with other promises', async () => {
  const home = await testFolder()
  const folder = join(home, 'data/node')
  await mkdir(folder, { recursive: true })
  const giveBack = await claimFolder(folder)
  const { exitCode, stdout } = await runCommand(['node', 'start', '--json', '--mdns'], undefined, home)
  await giveBack()
  expect(exitCode).toBe(1)
  expect(JSON.parse(stdout).error).toMatchObject({
    code: 'STORAGE_FAILED',
    message: `another process is the node of ${folder}`,
  })
})

test('topics tell it as well, once for each protocol; who speaks ours too, or no Starling, is not accused', async () => {
  const { id, address } = await startOther([], ['/starling/hello/1', '/starling/jobs/7'])
  const both = await startOther(
    ['/starling/jobs/1', '/starling/jobs/2'],
    ['/starling/hello/2', '/starling/hello/3'],
  )
  const stranger = await startOther(['/ipfs/kad/1.0.0', '/starlings/jobs/9', '/starling/run/job/9'])
  const node = await startNode([both.address, stranger.address])
  await expect.poll(() => node.libp2p.getPeers().length, patient).toBe(2)
  for (const { id } of [both, stranger])
    await node.services.versions.requireSame(id, { signal: AbortSignal.timeout(60_000) })

  const mismatch = nextMismatch(node)
  await node.libp2p.dial(multiaddr(address))
  expect(await mismatch).toMatchObject({
    code: 'VERSION_MISMATCH',
    peer: id,
    message: `peer ${id} at ${address} speaks hello/1, jobs/7; this program speaks hello/2, jobs/1`,
    hint: expect.stringMatching(
      /^Whoever runs peer 12D3Koo\w+.* and you have to update to the same version of Starling\.$/,
    ),
  })
})

test('a peer of another version that goes and comes again is told of once', async () => {
  const { id, address } = await startOther(['/starling/jobs/2'])
  const node = await startNode()
  const told: (string | undefined)[] = []
  node.services.versions.follow(({ peer }) => told.push(peer))
  for (let time = 0; time < 2; time++) {
    await node.libp2p.dial(multiaddr(address))
    await expect.poll(() => node.services.versions.mismatchOf(id)?.peer, patient).toBe(id)
    await node.libp2p.hangUp(multiaddr(address))
    await expect.poll(() => node.services.versions.mismatchOf(id)?.peer, patient).toBeUndefined()
  }
  expect(told).toEqual([id])
})

test('two peers of a run that average in different versions say so: the coordinator knows both, and they wait', async () => {
  const job = 'bafyjob'
  const old = await startNode()
  const node = await startNode(old.addresses())
  await expect.poll(() => node.libp2p.getPeers().length, patient).toBe(1)
  await node.services.versions.requireSame(old.self, { signal: AbortSignal.timeout(60_000) })

  // both open the run long after they have connected
  await old.libp2p.handle(`/starling/allreduce/4/${job}`, () => {})
  old.services.discovery.setSelf({ job: { job, round: 0, root: 'bafyroot', weight: 0 } })
  await node.services.allreduce.open({ job, parameterCount: 1, codec: 'f32', peersMin: 2 })
  expect(await nextMismatch(node)).toMatchObject({
    code: 'VERSION_MISMATCH',
    peer: old.self,
    message: expect.stringMatching(/speaks allreduce\/4; this program speaks allreduce\/5$/),
  })
})

test('a tab whose swarm speaks a newer version does not look for its job for ever, and says to reload', async () => {
  const { id, address } = await startOther(['/starling/jobs/2'])
  const tab = await startNode([address])
  await nextMismatch(tab)
  const waiting = waitForJob(tab, 'bafyjob', { clock: hurried, signal: AbortSignal.timeout(60_000) })
  await expect(waiting).rejects.toMatchObject({ code: 'VERSION_MISMATCH', peer: id, hint: 'Reload.' })
})

test('whoever follows a run that does not begin is told of a peer that averages in another version', async () => {
  const coordinator = await startNode()
  const old = await startNode(coordinator.addresses())
  const { job, manifest, envelope } = await launch(coordinator, 'Of all ages')
  await old.libp2p.handle(`/starling/allreduce/9/${job}`, () => {})
  old.services.discovery.setSelf({ job: { job, round: 0, root: 'bafyroot', weight: 0 } })

  const node = await startNode(coordinator.addresses())
  await node.services.jobs.announce(envelope)
  const remote = node.services.jobs.requestFrom(coordinator.self)
  const client = { node, coordinator: coordinator.self, remote, close: async () => {} }
  const stop = new AbortController()
  const warnings: RunEvent[] = []
  const emit = (event: RunEvent) => {
    if (event.event !== 'warning' || !event.message.includes('speaks')) return
    warnings.push(event)
    stop.abort(new Error('seen'))
  }
  const what = { client, job, manifest, parameters: [], modelPath: undefined, isDetached: false }
  const followed = followRun({ ...what, seconds: () => 0, emit, clock: hurried }, stop)
  await expect(followed).rejects.toThrow('seen')
  expect(warnings).toMatchObject([
    {
      message: expect.stringMatching(/ speaks allreduce\/9; this program speaks allreduce\/5$/),
      hint: 'Reload.',
    },
  ])
})

/** A job of the coordinator's own, described by `description`. */
async function launch({ services, self, key }: SwarmNode, description: string): Promise<SignedJob> {
  const created = Date.now()
  const init = { ...manifestInit({ description, owner: self, coordinators: [self], created }) }
  const { envelope } = await sealManifest(createManifest({ ...init, expires: created + 3_600_000 }), key)
  return services.jobs.announce(envelope)
}

const stopped = (job: string, key: PrivateKey) =>
  sealStatement({ kind: statementKind.stop, job, at: Date.now(), reason: '\u001b]0;owned\u0007' }, key)

test('a terminal is not steered by what an owner wrote', async () => {
  const coordinator = await startNode([], systemClock)
  const { job } = await launch(coordinator, 'Glyphs\u001b[2J\u009b31m of all kinds')
  const words = ['--coordinator', ...coordinator.addresses()]
  const { exitCode, stdout } = await runCommand(['show', job, ...words])
  expect(exitCode).toBe(0)
  expect(stdout).toContain('\nGlyphs[2J31m of all kinds\n')
})

test('a node that is to run one job ends with it also when the job was over before, and tells why', async () => {
  const coordinator = await startNode([], systemClock)
  const { job, envelope: manifest } = await launch(coordinator, 'Over soon')
  const { envelope } = await stopped(job, coordinator.key)
  await coordinator.services.jobs.recall(manifest, [envelope])
  const words = ['--listen', '/ip4/127.0.0.1/tcp/0', '--coordinator', ...coordinator.addresses()]
  const { exitCode, stdout } = await runCommand(['node', 'start', '--job', job, ...words])
  expect(exitCode).toBe(103)
  expect(stdout).toContain('end=stopped reason=]0;owned\n')
})

test('who watches a job whose model the coordinator never got is told, and does not wait for ever', async () => {
  const coordinator = await startNode([], systemClock)
  const { manifest } = await launch(coordinator, 'No model')
  const node = await startNode(coordinator.addresses())
  const remote = node.services.jobs.requestFrom(coordinator.self)
  const client = { node, coordinator: coordinator.self, remote, close: async () => {} }
  const asked = modelParameters(client, manifest, { signal: AbortSignal.timeout(20_000) })
  await expect(asked).rejects.toMatchObject({ code: 'BLOCK_NOT_FOUND' })
})
