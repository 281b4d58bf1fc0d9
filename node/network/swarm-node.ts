/**
 * A Node process as a peer of the swarm: libp2p with Starling's protocols on it. Training nodes, coordinators and
 * launchers are all made of this; what they do with it is their own file's business.
 */

import './heap-growth.ts'
import './platform.ts'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { SwarmError } from '../../protocols/core/errors.ts'
import { type BlockStore, memoryStore } from '../../protocols/shards/index.ts'
import {
  type StarlingInit,
  type StarlingServices,
  type SwarmPeer,
  starlingServices,
} from '../peer/network.ts'
import type { SwarmKey } from '../peer/swarm-key.ts'
import { loadOrCreateIdentity } from '../storage/identity.ts'
import { KeptBlocks } from '../storage/kept-blocks.ts'
import { createNode } from './libp2p.ts'

export interface SwarmNodeInit extends StarlingInit {
  /** Who this peer is. */
  key: PrivateKey
  listen: string[]
  announce?: string[]
  relay?: boolean
  mdns?: boolean
  /** Of a private swarm. */
  swarmKey?: SwarmKey | undefined
}

/** A started peer. */
export interface SwarmNode extends SwarmPeer {
  /** Multiaddrs that others can reach it under, each ending in its id. */
  addresses(): string[]
  /** Multiaddrs that it listens on, under which this machine reaches it also where others go another way. */
  localAddresses(): string[]
  /** Says goodbye and stops. */
  close(): Promise<void>
}

/** @throws {SwarmError} PORT_IN_USE; USAGE for an address that is none. */
export async function openSwarmNode(init: SwarmNodeInit): Promise<SwarmNode> {
  const { key, store } = init
  const libp2p = await createNode<StarlingServices>({
    identity: key,
    listen: init.listen,
    announce: init.announce,
    relay: init.relay,
    mdns: init.mdns,
    swarmKey: init.swarmKey,
    services: starlingServices(init),
  })
  return {
    self: libp2p.peerId.toString(),
    key,
    libp2p,
    services: libp2p.services,
    store,
    addresses: () => libp2p.getMultiaddrs().map((address) => address.toString()),
    localAddresses: () =>
      libp2p.services.listening.addresses().map((address) => `${address}/p2p/${libp2p.peerId}`),
    close: async () => libp2p.stop(),
  }
}

/** Who a peer is, and where its blocks are. */
export interface Home {
  key: PrivateKey
  store: BlockStore
}

/** What a peer keeps on disk. */
export interface KeptHome extends Home {
  blocks: KeptBlocks
}

/**
 * Opens a peer's folder, making it when missing.
 *
 *     <home>/identity.key     who this peer is
 *     <home>/blocks/          what it has fetched or made, by content (kept-blocks.ts)
 *     <home>/runs/            where it is in the runs it takes part in (kept-run.ts); a node's only
 *
 * @throws {SwarmError} STORAGE_FAILED.
 */
export async function openHome(home: string): Promise<KeptHome> {
  let blocks: KeptBlocks
  try {
    await mkdir(home, { recursive: true })
    blocks = await KeptBlocks.open(join(home, 'blocks'))
  } catch (cause) {
    throw new SwarmError('STORAGE_FAILED', `cannot make the folder ${home}`, {
      cause,
      hint: 'Free some space, check the permissions, or choose another place with STARLING_HOME.',
    })
  }
  return { key: await loadOrCreateIdentity(join(home, 'identity.key')), store: blocks.store, blocks }
}

/** A peer that leaves nothing behind: a new identity, and blocks in memory. For commands that only ask or launch. */
export async function passingHome(): Promise<Home> {
  return { key: await generateKeyPair('Ed25519'), store: memoryStore() }
}
