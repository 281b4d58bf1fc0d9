/**
 * Composes the libp2p node of a tab. It can open connections and not accept them, but for one kind: WebRTC, whose
 * handshake travels over a relay and whose data then does not.
 *
 *     tab ──WebSocket──▶ coordinator, nodes                 dialled, or relayed when it has no open port
 *     tab ──/p2p-circuit──▶ relay ──▶ tab                   a moment, to shake hands;
 *     tab ◀────────── WebRTC ──────────▶ tab                then direct, and it outlives the relay
 *
 * peer/network.ts has what tabs share with nodes. No server of strangers is asked for this tab's address: the
 * coordinator tells it (ice-servers.ts). Two tabs whose routers let nothing in all the same stay on the relay.
 */

import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import type { Address, PrivateKey } from '@libp2p/interface'
import { webRTC } from '@libp2p/webrtc'
import { webSockets } from '@libp2p/websockets'
import { createLibp2p, type ServiceFactoryMap } from 'libp2p'
import {
  baseServices,
  type StarlingInit,
  type SwarmPeer,
  type SwarmServices,
  sharedOptions,
  starlingServices,
} from '../../node/peer/network.ts'
import type { SwarmKey } from '../../node/peer/swarm-key.ts'
import type { Clock } from '../../protocols/core/clock.ts'
import { preferDirectPaths } from './direct-paths.ts'
import { iceServers } from './ice-servers.ts'

/**
 * How often a full WebSocket is looked at: browsers do not tell when one has room again. libp2p's half second would
 * hold a tab to 8 MB/s; a hidden page's timers hold it to 4 MB/s.
 */
const bufferPollMs = 50

export interface TabPeerInit extends StarlingInit {
  key: PrivateKey
  /** Of a private swarm; the link has it. */
  swarmKey?: SwarmKey | undefined
  clock: Clock
}

/** A started tab. */
export interface TabPeer extends SwarmPeer {
  /** Says goodbye and stops. */
  close(): Promise<void>
}

export async function openTabPeer(init: TabPeerInit): Promise<TabPeer> {
  const { key, store, clock } = init
  const libp2p = await createLibp2p<SwarmServices>({
    privateKey: key,
    addresses: { listen: ['/p2p-circuit', '/webrtc'] },
    start: false,
    transports: [
      webSockets({ bufferedAmountPollInterval: bufferPollMs }),
      webRTC({ rtcConfiguration: { iceServers: iceServers(init.bootstrap) } }),
      circuitRelayTransport(),
    ],
    // libp2p denies a page private addresses and plain WebSockets: the swarm of a lab has no others.
    connectionGater: { denyDialMultiaddr: () => false },
    connectionManager: { addressSorter: directFirst },
    ...sharedOptions(init.swarmKey),
    services: { ...baseServices(), ...starlingServices(init) } as ServiceFactoryMap<SwarmServices>,
  })
  const peer: SwarmPeer = {
    self: libp2p.peerId.toString(),
    key,
    libp2p,
    services: libp2p.services,
    store,
  }
  const stopImproving = preferDirectPaths(peer, clock)
  await libp2p.start()
  return {
    ...peer,
    close: async () => {
      stopImproving()
      await libp2p.stop()
    },
  }
}

/** WebSockets to the peer itself, then WebRTC, then the relay: libp2p would take WebRTC for relayed. */
function directFirst(a: Address, b: Address): -1 | 0 | 1 {
  const rank = ({ multiaddr }: Address) => {
    const text = multiaddr.toString()
    if (!text.includes('/p2p-circuit')) return 0
    return text.includes('/webrtc') ? 1 : 2
  }
  return Math.sign(rank(a) - rank(b)) as -1 | 0 | 1
}
