/**
 * The averaging table of the Moshpit paper (arXiv 2103.03239), as its notebook prints it: iterations until the variance is
 * below 1e-9 and, in brackets there, below 1e-4; means of ten draws, at most 50 iterations. Only its Moshpit column is
 * repeated here, because that is the one that a simulation of ours is held against. It has no row for 1,024 peers.
 */

import type { RoundsUntil } from './experiment.ts'

export interface PublishedRow {
  peers: number
  failures: number
  moshpit: RoundsUntil
}

export const published: readonly PublishedRow[] = [
  { peers: 512, failures: 0, moshpit: { fine: 8.2, coarse: 3.6 } },
  { peers: 512, failures: 0.001, moshpit: { fine: 8.5, coarse: 3.3 } },
  { peers: 512, failures: 0.005, moshpit: { fine: 8.8, coarse: 3.9 } },
  { peers: 512, failures: 0.01, moshpit: { fine: 8.8, coarse: 3.9 } },
  { peers: 768, failures: 0, moshpit: { fine: 6.0, coarse: 3.0 } },
  { peers: 768, failures: 0.001, moshpit: { fine: 6.0, coarse: 3.0 } },
  { peers: 768, failures: 0.005, moshpit: { fine: 6.6, coarse: 3.0 } },
  { peers: 768, failures: 0.01, moshpit: { fine: 6.9, coarse: 3.0 } },
  { peers: 900, failures: 0, moshpit: { fine: 5.0, coarse: 2.9 } },
  { peers: 900, failures: 0.001, moshpit: { fine: 5.1, coarse: 2.9 } },
  { peers: 900, failures: 0.005, moshpit: { fine: 5.9, coarse: 3.1 } },
  { peers: 900, failures: 0.01, moshpit: { fine: 6.5, coarse: 3.0 } },
]

/** What the table is made for: the published rows, and beside them 1,024 peers and more failures. */
export const tablePeers = [512, 768, 900, 1024] as const
export const tableFailures = [0, 0.001, 0.005, 0.01, 0.05] as const

/** The published row of a setting; undefined where there is none. */
export function publishedFor(peers: number, failures: number): PublishedRow | undefined {
  return published.find((row) => row.peers === peers && row.failures === failures)
}
