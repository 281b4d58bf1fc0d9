/**
 * A Node process as a peer of the swarm: libp2p with Starling's protocols on it. Training nodes, coordinators and launchers
 * are all made of this; what they do with it is their own file's business.
 */

import './platform.ts'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Libp2p, PrivateKey } from '@libp2p/interface'
import { FsBlockstore } from 'blockstore-fs'
import { type Allreduce, allreduce } from '../protocols/allreduce/index.ts'
import { SwarmError } from '../protocols/core/errors.ts'
import { type Discovery, discovery, type SelfDescription } from '../protocols/discovery/index.ts'
import { type Jobs, jobs, type SignedJob } from '../protocols/jobs/index.ts'
import { type BlockStore, blockStore, memoryStore, type Shards, shards } from '../protocols/shards/index.ts'
import { loadOrCreateIdentity } from './identity.ts'
import { type BaseServices, createNode } from './libp2p.ts'

export interface SwarmNodeInit {
  /** Who this peer is. */
  key: PrivateKey
  /** Where it keeps what it fetches, and serves from. */
  store: BlockStore
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

/** @throws {SwarmError} PORT_IN_USE; USAGE for an address that is none. */
export async function openSwarmNode(init: SwarmNodeInit): Promise<SwarmNode> {
  const { key, store } = init
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
    close: async () => libp2p.stop(),
  }
}

/** What a peer keeps on disk. */
export interface Home {
  key: PrivateKey
  store: BlockStore
}

/**
 * Opens a peer's folder, making it when missing.
 *
 *     <home>/identity.key     who this peer is
 *     <home>/blocks/          what it has fetched or made, by content
 *
 * @throws {SwarmError} STORAGE_FAILED.
 */
export async function openHome(home: string): Promise<Home> {
  const blocks = new FsBlockstore(join(home, 'blocks'))
  try {
    await mkdir(home, { recursive: true })
    await blocks.open()
  } catch (cause) {
    throw new SwarmError('STORAGE_FAILED', `cannot make the folder ${home}`, {
      cause,
      hint: 'Free some space, check the permissions, or choose another place with STARLING_HOME.',
    })
  }
  return { key: await loadOrCreateIdentity(join(home, 'identity.key')), store: blockStore(blocks) }
}

/** A peer that leaves nothing behind: a new identity, and blocks in memory. For commands that only ask or launch. */
export async function passingHome(): Promise<Home> {
  return { key: await generateKeyPair('Ed25519'), store: memoryStore() }
}
