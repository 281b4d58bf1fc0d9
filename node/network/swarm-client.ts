/**
 * A short-lived peer that asks or launches: it connects to a coordinator, and leaves nothing behind. The key that signs
 * jobs is the owner's, kept on disk, and is not this peer's identity; so several commands can run at the same time.
 */

import { join } from 'node:path'
import type { PrivateKey } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { SwarmError } from '../../protocols/core/errors.ts'
import type { JobSummary, RemoteJobs } from '../../protocols/jobs/index.ts'
import { dirsFor } from '../storage/dirs.ts'
import { type FoundSwarm, findSwarm, type NamedSwarm } from './coordinator-address.ts'
import { dialFailure } from './dial-failure.ts'
import { openHome, openSwarmNode, passingHome, type SwarmNode } from './swarm-node.ts'

/** A coordinator that does not answer a dial by then is not there. */
const dialMsMax = 15_000

export interface SwarmClient {
  node: SwarmNode
  /** Peer id of the coordinator that answered. */
  coordinator: string
  /** Questions to it. */
  remote: RemoteJobs
  close(): Promise<void>
}

export interface SwarmClientInit {
  env: Readonly<Record<string, string | undefined>>
  /** What relative paths start from. */
  cwd: string
  signal: AbortSignal
}

/**
 * Connects to the first coordinator of `swarm` that answers.
 * @throws {SwarmError} NO_COORDINATOR when none is known or none answers; REFUSED when it is one of a private swarm and
 * the key is not its own; VERSION_MISMATCH when it speaks other versions; USAGE for an address that is none; what
 * {@link findSwarm} throws.
 */
export async function openSwarmClient(
  swarm: NamedSwarm,
  { env, cwd, signal }: SwarmClientInit,
): Promise<SwarmClient> {
  const { addresses, key } = await findSwarm(swarm, { env, cwd })
  const node = await openSwarmNode({
    ...(await passingHome()),
    swarmKey: key,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    bootstrap: addresses,
    self: { role: 'node', backend: 'none', threads: 0, clientOnly: true },
    // It takes up the jobs that it is asked about, and nothing by itself.
  })
  try {
    const coordinator = await dialFirst(node, { addresses, key }, signal)
    await node.services.versions.requireSame(coordinator, { signal })
    const remote = node.services.jobs.requestFrom(coordinator)
    return { node, coordinator, remote, close: () => node.close() }
  } catch (error) {
    await node.close()
    throw error
  }
}

/** The key that signs this person's jobs; made at the first launch. */
export async function ownerKey(env: Readonly<Record<string, string | undefined>>): Promise<PrivateKey> {
  return (await openHome(join(dirsFor(env).data, 'owner'))).key
}

/**
 * The job that `text` names: an id, or a name that only one job has.
 * @throws {SwarmError} NOT_FOUND, USAGE when the name is not unique.
 */
export async function findJob(
  remote: RemoteJobs,
  text: string,
  { signal }: { signal: AbortSignal },
): Promise<JobSummary> {
  const known = await remote.list({ signal })
  const found = known.filter(({ job, name }) => job === text || name === text)
  const open = found.filter(({ status }) => status === 'open')
  const [only] = open.length === 1 ? open : found
  if (only === undefined) {
    throw new SwarmError('NOT_FOUND', `the coordinator knows no job "${text}"`, {
      hint: 'See `starling list` for the jobs.',
    })
  }
  if (open.length !== 1 && found.length > 1) {
    throw new SwarmError('USAGE', `${found.length} jobs are named "${text}"`, {
      hint: `Give the id of one: ${found.map(({ job }) => job).join(', ')}`,
    })
  }
  return only
}

async function dialFirst(
  node: SwarmNode,
  { addresses, key }: FoundSwarm,
  signal: AbortSignal,
): Promise<string> {
  let cause: unknown
  for (const address of addresses) {
    try {
      const connection = await node.libp2p.dial(multiaddr(address), {
        signal: AbortSignal.any([signal, AbortSignal.timeout(dialMsMax)]),
      })
      return connection.remotePeer.toString()
    } catch (error) {
      signal.throwIfAborted()
      cause = error
    }
  }
  throw dialFailure({ addresses, hasKey: key !== undefined, cause })
}
