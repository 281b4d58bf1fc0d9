/** A swarm with tabs as people make one: a coordinator, nodes, a job handed in, and its link opened in a browser. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readInvitation } from '../../../browser-client/page/invitation.ts'
import type { Program } from '../../integration/peers/program.ts'
import { Program as StarlingProgram, testFolder } from '../../integration/peers/program.ts'
import { type Observer, observe } from './observer.ts'

/** Loopback, for programs; and WebSockets, for tabs. */
const listen = ['--listen', '/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws']

export interface TabSwarm {
  folder: string
  coordinator: Program
  nodes: Program[]
  /** Peer ids of `nodes`, in their order. */
  nodeIds: string[]
  job: string
  /** What the owner would send around. */
  link: string
  observer: Observer
}

export interface TabSwarmInit {
  nodes: number
  /** The job file (YAML); other files that it names are in the swarm's folder. */
  job: string
  files: Readonly<Record<string, Uint8Array>>
  /** Only programs and tabs that have its key are let in. Default false. */
  isPrivate?: boolean
}

/** Starts it; the run waits for as many peers as the job wants. */
export async function startTabSwarm({
  nodes: count,
  job: yaml,
  files,
  isPrivate = false,
}: TabSwarmInit): Promise<TabSwarm> {
  const folder = await testFolder()
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes)
  await writeFile(join(folder, 'job.yaml'), yaml)
  const key = isPrivate ? ['--swarm-key', 'swarm.key'] : []
  const coordinator = new StarlingProgram(folder, 'coordinator', [
    'coordinator',
    'start',
    ...key,
    ...listen,
    '--page-port',
    '0',
  ])
  const { addresses } = (await coordinator.said('ready')) as unknown as { addresses: string[] }
  const nodeWords = [
    'node',
    'start',
    ...listen,
    '--threads',
    '1',
    '--backend',
    'native',
    ...key,
    '--coordinator',
    ...addresses,
  ]
  const nodes = Array.from(
    { length: count },
    (_, i) => new StarlingProgram(folder, `node-${i + 1}`, nodeWords),
  )
  const ready = await Promise.all(
    nodes.map(async (node) => (await node.said('ready')) as unknown as { peer: string; addresses: string[] }),
  )
  const nodeIds = ready.map(({ peer }) => peer)
  const launcher = new StarlingProgram(folder, 'owner', [
    'launch',
    'job.yaml',
    '--detach',
    ...key,
    '--coordinator',
    ...addresses,
  ])
  const { link } = (await launcher.said('invitation')) as unknown as { link: string }
  const { job, swarmKey } = readInvitation(new URL(link).hash)
  await launcher.ended
  return {
    folder,
    coordinator,
    nodes,
    nodeIds,
    job,
    link,
    observer: await observe(
      [...addresses, ...ready.flatMap((node) => node.addresses.slice(0, 1))],
      job,
      swarmKey,
    ),
  }
}
