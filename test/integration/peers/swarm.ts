/** A swarm of programs on loopback as a person would start it: a coordinator, some nodes, and a job handed in. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { Program, testFolder } from './program.ts'

export interface Swarm {
  folder: string
  coordinator: Program
  /** The coordinator's addresses. */
  addresses: string[]
  nodes: Program[]
  /** Peer ids of `nodes`, in their order. */
  peers: string[]
}

/** Where a program listens that may choose its port. */
export const anyPort = '/ip4/127.0.0.1/tcp/0'

/** Starts a coordinator and `count` nodes. */
export async function startSwarm(count: number): Promise<Swarm> {
  const folder = await testFolder()
  const coordinator = startCoordinator(folder, anyPort)
  const { addresses } = (await coordinator.said('ready')) as unknown as { addresses: string[] }
  const nodes = Array.from({ length: count }, (_, i) => startNode(folder, `node-${i + 1}`, addresses))
  const peers = await Promise.all(nodes.map(async (node) => (await node.said('ready')).peer as string))
  return { folder, coordinator, addresses, nodes, peers }
}

/** Started again with the address it had, a coordinator is who it was: its home is the same. */
export function startCoordinator(folder: string, listen: string): Program {
  return new Program(folder, 'coordinator', ['coordinator', 'start', '--listen', listen])
}

/** A node that knows the peers at `addresses`. */
export function startNode(folder: string, name: string, addresses: readonly string[]): Program {
  return new Program(folder, name, nodeWords(anyPort, addresses))
}

/** What starts a node that listens at `listen` and knows the peers at `addresses`. */
export function nodeWords(listen: string, addresses: readonly string[]): string[] {
  const words = ['node', 'start', '--listen', listen, '--threads', '1', '--backend', 'native']
  return [...words, '--coordinator', ...addresses]
}

/** Writes `job` (YAML) and hands it to the swarm; returns once the coordinator has all it needs. */
export async function submit({ folder, addresses }: Swarm, job: string): Promise<void> {
  await writeFile(join(folder, 'job.yaml'), job)
  const words = ['launch', 'job.yaml', '--detach', '--coordinator', ...addresses]
  const launcher = new Program(folder, 'owner', words)
  expect(await launcher.ended).toEqual({ exitCode: 101, signal: null })
}
