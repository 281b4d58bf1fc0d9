/** What commands say about jobs of strangers that a coordinator knows, and what they do about those that are over. */

import type { PrivateKey } from '@libp2p/interface'
import { expect, onTestFinished, test } from 'vitest'
import { modelParameters } from '../../node/model-parameters.ts'
import { openSwarmNode, passingHome, type SwarmNode } from '../../node/swarm-node.ts'
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

async function startNode(bootstrap: readonly string[] = [], clock = systemClock): Promise<SwarmNode> {
  const node = await openSwarmNode({
    ...(await passingHome()),
    listen: ['/ip4/127.0.0.1/tcp/0'],
    bootstrap,
    self: { role: 'coordinator', backend: 'none', threads: 0, clientOnly: false },
    clock,
  })
  onTestFinished(() => node.close())
  return node
}

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
  const coordinator = await startNode()
  const { job } = await launch(coordinator, 'Glyphs\u001b[2J\u009b31m of all kinds')
  const words = ['--coordinator', ...coordinator.addresses()]
  const { exitCode, stdout } = await runCommand(['show', job, ...words])
  expect(exitCode).toBe(0)
  expect(stdout).toContain('\nGlyphs[2J31m of all kinds\n')
})

test('a node that is to run one job ends with it also when the job was over before, and tells why', async () => {
  const coordinator = await startNode()
  const { job, envelope: manifest } = await launch(coordinator, 'Over soon')
  const { envelope } = await stopped(job, coordinator.key)
  await coordinator.services.jobs.recall(manifest, [envelope])
  const words = ['--listen', '/ip4/127.0.0.1/tcp/0', '--coordinator', ...coordinator.addresses()]
  const { exitCode, stdout } = await runCommand(['node', 'start', '--job', job, ...words])
  expect(exitCode).toBe(103)
  expect(stdout).toContain('end=stopped reason=]0;owned\n')
})

test('who watches a job whose model the coordinator never got is told, and does not wait for ever', async () => {
  const coordinator = await startNode()
  const { manifest } = await launch(coordinator, 'No model')
  const node = await startNode(coordinator.addresses(), hurried)
  const remote = node.services.jobs.requestFrom(coordinator.self)
  const client = { node, coordinator: coordinator.self, remote, close: async () => {} }
  const asked = modelParameters(client, manifest, { signal: AbortSignal.timeout(20_000) })
  await expect(asked).rejects.toMatchObject({ code: 'BLOCK_NOT_FOUND' })
})
