/** The page's table of peers: what discovery, the run's gossip and libp2p each know of one. */

import type { Connection } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { SwarmPeer } from '../../node/peer/network.ts'
import type { PeerRow } from '../donation.ts'
import { isRelayed } from './direct-paths.ts'

/** The other peers that are live, in order of their ids. */
export function peerRows({ libp2p, services }: SwarmPeer, job: string): PeerRow[] {
  const reports = services.jobs.get(job)?.progress
  return services.discovery.peers().map(({ peer, role, backend }) => {
    const connections = libp2p.getConnections(peerIdFromString(peer))
    const report = reports?.get(peer)?.progress
    return {
      id: peer,
      role,
      backend,
      connection: connectionOf(connections),
      rttMs: rttOf(connections),
      round: report?.round ?? null,
      samplesPerSecond: report?.samplesPerSecond ?? null,
      phase: report?.phase ?? '',
    }
  })
}

function connectionOf(connections: readonly Connection[]): PeerRow['connection'] {
  if (connections.length === 0) return 'none'
  return connections.every(isRelayed) ? 'relayed' : 'direct'
}

/** Of the quickest connection, as libp2p's monitor measured it. */
function rttOf(connections: readonly Connection[]): number | null {
  const known = connections.flatMap(({ rtt }) => (rtt === undefined ? [] : [rtt]))
  return known.length === 0 ? null : Math.min(...known)
}
