/**
 * What it costs a round when a peer falls silent, by the moment at which it does: the simulator's machines, with links
 * that listen for pulses and, from the same seeds, with links that wait for their connections to be given up. Virtual
 * time, so a busy machine changes nothing.
 */

import { silencedMoments, silencedRoundMs } from '../simulator/silenced-round.ts'
import type { LinkShape } from './reduce.ts'
import { quantile, tableText } from './statistics.ts'

export interface SilenceOptions {
  peers: number
  /** Seeds of each moment. */
  seeds: number
  /** Updates of 16 MiB on links of that rate; undefined: of a few bytes. */
  link: LinkShape | undefined
}

/** One line of the result: milliseconds of virtual time until all others have committed the round. */
export interface SilenceRow {
  moment: string
  /** Those in which the moment came. */
  seeds: number
  median_ms: number
  worst_ms: number
  without_pulses_median_ms: number
  without_pulses_worst_ms: number
}

/** Measures every moment that comes in any of the seeds. Prints a table unless `json`. */
export async function benchSilence({
  peers,
  seeds,
  link,
  json,
}: SilenceOptions & { json: boolean }): Promise<SilenceRow[]> {
  const uplink = link && (link.mbitPerSecond * 1e6) / 8
  const rows = silencedMoments(peers).flatMap((moment): SilenceRow[] => {
    const times = (hearsSilence: boolean): number[] =>
      Array.from({ length: seeds }, (_, index) =>
        silencedRoundMs({ seed: 1 + index, peers, moment, hearsSilence, uplink }),
      ).filter((ms) => ms !== undefined)
    const [heard, unheard] = [times(true), times(false)]
    if (heard.length === 0) return []
    const row = {
      moment,
      seeds: heard.length,
      median_ms: quantile(heard, 0.5),
      worst_ms: quantile(heard, 1),
      without_pulses_median_ms: quantile(unheard, 0.5),
      without_pulses_worst_ms: quantile(unheard, 1),
    }
    return [row]
  })
  const heading = ['silent', 'seconds', 'worst', 'without pulses', 'worst']
  if (!json) process.stdout.write(tableText([heading, ...rows.map(cellsOf)]))
  return rows
}

function cellsOf(row: SilenceRow): string[] {
  const { moment, median_ms, worst_ms, without_pulses_median_ms, without_pulses_worst_ms } = row
  const times = [median_ms, worst_ms, without_pulses_median_ms, without_pulses_worst_ms]
  return [moment, ...times.map((ms) => (ms / 1000).toFixed(1))]
}
