/**
 * A Node process as a peer of the swarm: libp2p with Starling's protocols on it, and its folder on disk. Training nodes,
 * coordinators and launchers are all made of this; what they do with it is their own file's business.
 *
 *     <home>/identity.key     who this peer is
 *     <home>/blocks/          what it has fetched or made, by content
 */

import './platform.ts'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Libp2p, PrivateKey } from '@libp2p/interface'
import { FsBlockstore } from 'blockstore-fs'
import { type Allreduce, allreduce } from '../protocols/allreduce/index.ts'
import { SwarmError } from '../protocols/core/errors.ts'
import { type Discovery, discovery, type SelfDescription } from '../protocols/discovery/index.ts'
import { type Jobs, jobs, type SignedJob } from '../protocols/jobs/index.ts'
import { type BlockStore, blockStore, type Shards, shards } from '../protocols/shards/index.ts'
import { loadOrCreateIdentity } from './identity.ts'
import { type BaseServices, createNode } from './libp2p.ts'

export interface SwarmNodeInit {
  /** The peer's folder; made when missing. */
  home: string
  listen: string[]
  announce?: string[]
  /** Multiaddrs of coordinators or friends, redialled for ever. */
  bootstrap: readonly string[]
  relay?: boolean
  mdns?: boolean
  self: SelfDescription
  /** Throws SwarmError (REFUSED) for a job that this peer wants nothing to do with. */
  admit?: (signed: SignedJob) => void
}

type Services = BaseServices & { discovery: Discovery; shards: Shards; jobs: Jobs; allreduce: Allreduce }

/** A started peer. */
export interface SwarmNode {
  /** Its id. */
  self: string
  key: PrivateKey
  libp2p: Libp2p<Services>
  services: Services
  store: BlockStore
  /** Multiaddrs that others can reach it under, each ending in its id. */
  addresses(): string[]
  /** Says goodbye and stops. */
  close(): Promise<void>
}

/** @throws {SwarmError} PORT_IN_USE, STORAGE_FAILED, USAGE for an address that is none. */
export async function openSwarmNode(init: SwarmNodeInit): Promise<SwarmNode> {
  await makeFolder(init.home)
  const key = await loadOrCreateIdentity(join(init.home, 'identity.key'))
  const blocks = new FsBlockstore(join(init.home, 'blocks'))
  await blocks.open()
  const store = blockStore(blocks)
  const libp2p = await createNode<Omit<Services, keyof BaseServices>>({
    identity: key,
    listen: init.listen,
    announce: init.announce,
    relay: init.relay,
    mdns: init.mdns,
    services: {
      discovery: discovery({ self: init.self, bootstrap: init.bootstrap }),
      shards: shards({ store }),
      jobs: jobs({ admit: init.admit }),
      allreduce: allreduce(),
    },
  })
  return {
    self: libp2p.peerId.toString(),
    key,
    libp2p,
    services: libp2p.services,
    store,
    addresses: () => libp2p.getMultiaddrs().map((address) => address.toString()),
    async close() {
      await libp2p.stop()
      await blocks.close()
    },
  }
}

async function makeFolder(home: string): Promise<void> {
  try {
    await mkdir(home, { recursive: true })
  } catch (cause) {
    throw new SwarmError('STORAGE_FAILED', `cannot make the folder ${home}`, {
      cause,
      hint: 'Check its permissions, or choose another place with STARLING_HOME.',
    })
  }
}
