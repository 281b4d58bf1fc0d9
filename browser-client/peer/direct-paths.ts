/**
 * Moves what goes over a relay to a direct path. Two peers often meet over the relay first: the other side dialled
 * before it was dialled, or a WebRTC handshake was under way. Whatever they say to each other then passes through the
 * coordinator, and ends with it.
 *
 *     relayed ──dial directly──▶ both ──a moment──▶ direct: the relayed connection is closed, and
 *        ▲            │ fails                       links open again on the other
 *        └── later ───┘
 *
 * The two sides of a WebRTC handshake do not end it in one moment, and its messages go over the relayed connection:
 * whoever is ready first does not close that one under the other. Of two tabs the one with the lesser id dials, the
 * other only if it does not come, as in protocols/discovery/dialer.ts.
 */

import type { Connection, PeerId } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { SwarmPeer } from '../../node/peer/network.ts'
import type { Clock } from '../../protocols/core/clock.ts'
import type { PeerRecord } from '../../protocols/discovery/index.ts'

/** After a first attempt that failed: on a busy machine a handshake may have come too late. Doubled at each failure. */
const retryMsMin = 4_000

/** Between two attempts at most: a firewall that let nothing through is not asked more often than nobody notices. */
const retryMsMax = 60_000

/** A WebRTC handshake that goes on over the relayed connection, and the peer's HELLO, get this long to come first. */
const settleMs = 3_000

/** A WebRTC handshake takes a second; candidates that lead nowhere are given up after six. */
const dialMsMax = 10_000

/** The side that did not dial has its end of a WebRTC connection a quarter of a second later; more on a busy machine. */
const handoverMs = 3_000

/** What is looked at of a peer. */
export interface Paths {
  self: string
  libp2p: Pick<SwarmPeer['libp2p'], 'getConnections' | 'dial' | 'addEventListener' | 'removeEventListener'>
  services: { discovery: { peers(): readonly Pick<PeerRecord, 'peer' | 'role' | 'addresses'>[] } }
}

/** Of one peer that is, or was, reached over a relay. */
interface Path {
  /** Dials that led to no direct connection. */
  failures: number
  /** The other side has had its time to dial. */
  hasYielded: boolean
  /** Takes back the next look at it. */
  stopTimer: () => void
}

/** Whether the bytes of a connection pass through a relay for good. */
export function isRelayed({ remoteAddr }: Pick<Connection, 'remoteAddr'>): boolean {
  return isRelayPath(remoteAddr.toString())
}

/** Looks after the connections of `paths` from now on; the returned function ends it. */
export function preferDirectPaths(paths: Paths, clock: Clock): () => void {
  const { libp2p } = paths
  const stopping = new AbortController()
  const known = new Map<string, Path>()

  const later = (peer: PeerId, path: Path, delayMs: number) => {
    path.stopTimer()
    if (!stopping.signal.aborted) path.stopTimer = clock.setTimer(delayMs, () => void look(peer, path))
  }
  const look = async (peer: PeerId, path: Path) => {
    const connections = libp2p.getConnections(peer)
    const relayed = connections.filter(isRelayed)
    if (connections.length === 0 || relayed.length < connections.length) {
      known.delete(peer.toString())
      for (const connection of relayed) void connection.close()
    } else if (!path.hasYielded && comesFirst(paths, peer)) {
      path.hasYielded = true
      later(peer, path, dialMsMax)
    } else {
      const isDirect = await dialDirectly(paths, peer, stopping.signal)
      // meanwhile the other side's dial may have led to one
      if (!isDirect && known.get(peer.toString()) === path)
        later(peer, path, Math.min(retryMsMax, retryMsMin * 2 ** path.failures++))
    }
  }
  const onOpen = ({ detail }: CustomEvent<Connection>) => {
    const id = detail.remotePeer.toString()
    const path = known.get(id) ?? { failures: 0, hasYielded: false, stopTimer: () => {} }
    known.set(id, path)
    if (isRelayed(detail)) later(detail.remotePeer, path, settleMs)
    // who was dialled does not know when the other has its end: it closes nothing before the dial is over
    else later(detail.remotePeer, path, detail.direction === 'outbound' ? handoverMs : dialMsMax + handoverMs)
  }
  libp2p.addEventListener('connection:open', onOpen)
  return () => {
    stopping.abort()
    libp2p.removeEventListener('connection:open', onOpen)
    for (const { stopTimer } of known.values()) stopTimer()
  }
}

/** Whether `peer` is the one to dial. A node cannot: a tab has no address that leads to it but over a relay. */
function comesFirst({ self, services }: Paths, peer: PeerId): boolean {
  const id = peer.toString()
  return self > id && services.discovery.peers().some((known) => known.peer === id && known.role === 'tab')
}

/** Whether it led to a direct connection; why not does not matter: the relay still carries everything. */
async function dialDirectly({ libp2p, services }: Paths, peer: PeerId, stop: AbortSignal): Promise<boolean> {
  const record = services.discovery.peers().find((known) => known.peer === peer.toString())
  const direct = (record?.addresses ?? []).filter((address) => !isRelayPath(address))
  const signal = AbortSignal.any([stop, AbortSignal.timeout(dialMsMax)])
  return libp2p.dial(direct.map(multiaddr), { force: true, signal }).then(
    (connection) => !isRelayed(connection),
    () => false,
  )
}

function isRelayPath(address: string): boolean {
  return address.includes('/p2p-circuit') && !address.includes('/webrtc')
}
