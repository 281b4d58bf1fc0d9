/**
 * The parts of a libp2p node that Starling's services use. libp2p passes its whole component registry to a service
 * factory; naming the few members here keeps each service's needs readable, and its tests free of the rest.
 */

import type {
  Connection,
  Libp2pEvents,
  NewStreamOptions,
  PeerId,
  PeerStore,
  PrivateKey,
  Stream,
  StreamHandler,
  StreamHandlerOptions,
  Topology,
  TypedEventTarget,
} from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

export interface PeerComponents {
  peerId: PeerId
  /** Of `peerId`. */
  privateKey: PrivateKey
  peerStore: PeerStore
  events: TypedEventTarget<Libp2pEvents>
  registrar: {
    handle(protocol: string, handler: StreamHandler, options?: StreamHandlerOptions): Promise<void>
    unhandle(protocol: string): Promise<void>
    register(protocol: string, topology: Topology): Promise<string>
    unregister(id: string): void
  }
  connectionManager: {
    getConnections(peer?: PeerId): Connection[]
    openConnection(
      target: PeerId | Multiaddr | Multiaddr[],
      options?: { signal?: AbortSignal },
    ): Promise<Connection>
    openStream(target: PeerId, protocol: string, options?: NewStreamOptions): Promise<Stream>
  }
  addressManager: { getAddresses(): Multiaddr[] }
}
