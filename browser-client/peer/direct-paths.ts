/**
 * Moves what goes over a relay to a direct path. Two peers often meet over the relay first: the other side dialled
 * before it was dialled, or a WebRTC handshake was under way. Whatever they say to each other then passes through the
 * coordinator, and ends with it.
 *
 *     relayed ──dial directly──▶ direct: the relayed connection is closed, and links open again on the other
 *        ▲            │ fails
 *        └── later ───┘
 */

import type { Connection, PeerId } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { SwarmPeer } from '../../node/peer/network.ts'
import type { Clock } from '../../protocols/core/clock.ts'

/** After a first attempt that failed: on a busy machine a handshake may have come too late. Doubled at each failure. */
const retryMsMin = 4_000

/** Between two attempts at most: a firewall that let nothing through is not asked more often than nobody notices. */
const retryMsMax = 60_000

/** A WebRTC handshake that goes on over the relayed connection, and the peer's HELLO, get this long to come first. */
const settleMs = 3_000

/** A WebRTC handshake takes a second; candidates that lead nowhere are given up after six. */
const dialMsMax = 10_000

/** Whether the bytes of a connection pass through a relay for good. */
export function isRelayed({ remoteAddr }: Pick<Connection, 'remoteAddr'>): boolean {
  return isRelayPath(remoteAddr.toString())
}

/** Looks after the connections of `peer` from now on; the returned function ends it. */
export function preferDirectPaths({ libp2p, services }: SwarmPeer, clock: Clock): () => void {
  const stopping = new AbortController()
  const timers = new Map<string, () => void>()
  const failures = new Map<string, number>()

  const closeRelayed = (peer: PeerId) => {
    for (const connection of libp2p.getConnections(peer)) if (isRelayed(connection)) void connection.close()
  }
  const improve = async (peer: PeerId) => {
    const id = peer.toString()
    timers.delete(id)
    const connections = libp2p.getConnections(peer)
    if (connections.length === 0) failures.delete(id)
    if (connections.length === 0 || !connections.every(isRelayed) || stopping.signal.aborted) return
    const record = services.discovery.peers().find((known) => known.peer === id)
    const direct = (record?.addresses ?? []).filter((address) => !isRelayPath(address))
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(dialMsMax)])
    const isDirect = await libp2p.dial(direct.map(multiaddr), { force: true, signal }).then(
      (connection) => !isRelayed(connection),
      () => false, // why does not matter: the relay still carries everything
    )
    if (isDirect) return
    const failed = failures.get(id) ?? 0
    failures.set(id, failed + 1)
    later(peer, Math.min(retryMsMax, retryMsMin * 2 ** failed))
  }
  const later = (peer: PeerId, delayMs: number) => {
    const id = peer.toString()
    if (stopping.signal.aborted || timers.has(id)) return
    timers.set(
      id,
      clock.setTimer(delayMs, () => void improve(peer)),
    )
  }
  const onOpen = ({ detail }: CustomEvent<Connection>) => {
    if (isRelayed(detail)) later(detail.remotePeer, settleMs)
    else {
      failures.delete(detail.remotePeer.toString())
      closeRelayed(detail.remotePeer)
    }
  }
  libp2p.addEventListener('connection:open', onOpen)
  return () => {
    stopping.abort()
    libp2p.removeEventListener('connection:open', onOpen)
    for (const stopTimer of timers.values()) stopTimer()
  }
}

function isRelayPath(address: string): boolean {
  return address.includes('/p2p-circuit') && !address.includes('/webrtc')
}
