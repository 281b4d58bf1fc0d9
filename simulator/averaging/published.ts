/**
 * The averaging table of the Moshpit paper (arXiv 2103.03239), as its notebook prints it: iterations until the variance
 * is below 1e-9 and, in brackets there, below 1e-4; means of ten draws, at most 50 iterations. The columns of Moshpit
 * and SGP are repeated here, because their rules leave room for mistakes. The table has no row for 1,024 peers.
 */

import type { RoundsUntil } from './experiment.ts'

export interface PublishedRow {
  peers: number
  failures: number
  moshpit: RoundsUntil
  sgp: RoundsUntil
}

export const published: readonly PublishedRow[] = [
  { peers: 512, failures: 0, moshpit: { fine: 8.2, coarse: 3.6 }, sgp: { fine: 47.6, coarse: 15.6 } },
  { peers: 512, failures: 0.001, moshpit: { fine: 8.5, coarse: 3.3 }, sgp: { fine: 47.6, coarse: 15.6 } },
  { peers: 512, failures: 0.005, moshpit: { fine: 8.8, coarse: 3.9 }, sgp: { fine: 47.8, coarse: 15.6 } },
  { peers: 512, failures: 0.01, moshpit: { fine: 8.8, coarse: 3.9 }, sgp: { fine: 47.8, coarse: 15.6 } },
  { peers: 768, failures: 0, moshpit: { fine: 6.0, coarse: 3.0 }, sgp: { fine: 43.2, coarse: 13.8 } },
  { peers: 768, failures: 0.001, moshpit: { fine: 6.0, coarse: 3.0 }, sgp: { fine: 43.2, coarse: 13.8 } },
  { peers: 768, failures: 0.005, moshpit: { fine: 6.6, coarse: 3.0 }, sgp: { fine: 43.2, coarse: 14.1 } },
  { peers: 768, failures: 0.01, moshpit: { fine: 6.9, coarse: 3.0 }, sgp: { fine: 43.9, coarse: 14.2 } },
  { peers: 900, failures: 0, moshpit: { fine: 5.0, coarse: 2.9 }, sgp: { fine: 45, coarse: 14.7 } },
  { peers: 900, failures: 0.001, moshpit: { fine: 5.1, coarse: 2.9 }, sgp: { fine: 45, coarse: 14.7 } },
  { peers: 900, failures: 0.005, moshpit: { fine: 5.9, coarse: 3.1 }, sgp: { fine: 45.2, coarse: 14.7 } },
  { peers: 900, failures: 0.01, moshpit: { fine: 6.5, coarse: 3.0 }, sgp: { fine: 45.6, coarse: 14.9 } },
]

/** What the table is made for: the published rows, and beside them 1,024 peers and more failures. */
export const tablePeers = [512, 768, 900, 1024] as const
export const tableFailures = [0, 0.001, 0.005, 0.01, 0.05] as const

/** The published row of a setting; undefined where there is none. */
export function publishedFor(peers: number, failures: number): PublishedRow | undefined {
  return published.find((row) => row.peers === peers && row.failures === failures)
}
