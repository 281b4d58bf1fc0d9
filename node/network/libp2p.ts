/**
 * Composes the libp2p node of a headless peer: transports, limits on connections, the relay, and the services that the
 * program adds; peer/network.ts has what tabs share. Only choices; each one that differs from libp2p's default says
 * why.
 *
 * Import `node/network/platform.ts` before this file.
 */

import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import type { Libp2p, PrivateKey, ServiceMap } from '@libp2p/interface'
import { mdns } from '@libp2p/mdns'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type ServiceFactoryMap } from 'libp2p'
import { SwarmError } from '../../protocols/core/errors.ts'
import { type BaseServices, baseServices, sharedOptions } from '../peer/network.ts'
import type { SwarmKey } from '../peer/swarm-key.ts'
import { leanEncryption } from './lean-encryption.ts'

/** Peers that a relay holds a place for: a class, a lab. libp2p's 15 would turn the sixteenth tab away. */
const relayReservationsMax = 256

/** Handshakes at one time: a whole swarm that comes back after the coordinator's restart. */
const handshakesMax = 128

export interface NodeInit<Services extends ServiceMap> {
  /** From `loadOrCreateIdentity`. */
  identity: PrivateKey
  /**
   * Multiaddrs to listen on: TCP, WebSockets with `/ws`, or `/p2p-circuit`, the relays that it is connected to. None:
   * the peer only dials.
   */
  listen: string[]
  /** Multiaddrs under which others reach this peer, when they differ from those it listens on. */
  announce?: string[]
  /** Serve as a relay between peers that cannot reach each other. Default false. */
  relay?: boolean
  /** Look for peers on the local network. Default false. */
  mdns?: boolean
  /** Of a private swarm: only who has it too can connect. Default: anybody. */
  swarmKey?: SwarmKey | undefined
  /** Starling's protocols, and whatever else the program needs: `{ shards: shards({ … }) }`. */
  services: Pick<ServiceFactoryMap<BaseServices & Services>, keyof Services>
}

/** Where a node listens, whatever it tells others. */
export interface Listening {
  addresses(): Multiaddr[]
}

export type NodeServices = BaseServices & { listening: Listening }

const listening = ({ transportManager }: { transportManager: { getAddrs(): Multiaddr[] } }): Listening => ({
  addresses: () => transportManager.getAddrs(),
})

/**
 * A started node.
 * @throws {SwarmError} PORT_IN_USE when an address is taken; USAGE when one is no address, or not this machine's.
 */
export async function createNode<Services extends ServiceMap>(
  init: NodeInit<Services>,
): Promise<Libp2p<NodeServices & Services>> {
  for (const address of [...init.listen, ...(init.announce ?? [])]) requireMultiaddr(address)
  const { connectionEncrypters, ...shared } = sharedOptions(init.swarmKey)
  const node = await createLibp2p<NodeServices & Services>({
    privateKey: init.identity,
    addresses: { listen: init.listen, announce: init.announce ?? [] },
    start: false,
    transports: [tcp(), webSockets(), circuitRelayTransport()],
    ...shared,
    connectionEncrypters: connectionEncrypters.map(leanEncryption),
    connectionManager: {
      // libp2p lets five connections a second in from one address; a school or a lab sits behind one.
      inboundConnectionThreshold: Number.POSITIVE_INFINITY,
      maxIncomingPendingConnections: handshakesMax,
    },
    peerDiscovery: init.mdns === true ? [mdns()] : [],
    services: {
      ...baseServices(),
      ...relayService(init.relay === true),
      listening,
      ...init.services,
    } as unknown as ServiceFactoryMap<NodeServices & Services>,
  })
  try {
    await node.start()
  } catch (error) {
    throw listenError(init.listen.filter(portOf), error)
  }
  return node
}

function relayService(isRelay: boolean) {
  if (!isRelay) return {}
  // Without the default limits (2 minutes, 128 KiB) two tabs can train over the relay until WebRTC connects them.
  const reservations = { maxReservations: relayReservationsMax, applyDefaultLimit: false }
  return { relay: circuitRelayServer({ reservations }) }
}

function requireMultiaddr(text: string): void {
  try {
    multiaddr(text)
  } catch (cause) {
    throw new SwarmError('USAGE', `"${text}" is no address to listen on or to announce`, {
      cause,
      hint: 'Give a multiaddr: /ip4/0.0.0.0/tcp/4001, with /ws at its end for browsers.',
    })
  }
}

/** libp2p names the cause of a failed listen only in its message. `listen`: addresses with a port. */
function listenError(listen: readonly string[], error: unknown): unknown {
  const text = String(error instanceof Error ? error.message : error)
  const [, code] = /\b(EADDRINUSE|EADDRNOTAVAIL|EACCES)\b/.exec(text) ?? []
  if (code === undefined) return error
  if (code !== 'EADDRINUSE') {
    const why = code === 'EACCES' ? 'is not allowed' : 'is not possible: this machine has no such address'
    return new SwarmError('USAGE', `listening on ${listen.join(' and ')} ${why}`, {
      cause: error,
      hint: 'Listen on /ip4/0.0.0.0 with a port above 1023; --announce tells others a different address.',
    })
  }
  const taken = listen.filter((address) => text.includes(`:${portOf(address)}`))
  const ports = [...new Set(taken.map(portOf))].join(' and ')
  return new SwarmError('PORT_IN_USE', `port ${ports || 'to listen on'} is in use by another program`, {
    cause: error,
    hint: 'Stop the other program, or listen on another port; port 0 picks a free one.',
  })
}

function portOf(address: string): string {
  return /\/tcp\/(\d+)/.exec(address)?.[1] ?? ''
}
