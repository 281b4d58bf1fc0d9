/** Numbers of a measurement, and how they are printed: medians with their spread, in columns. */

import { availableParallelism, loadavg } from 'node:os'

/** What is told of a list of values. */
export interface Spread {
  median: number
  min: number
  max: number
}

/** The value below which `share` (0 to 1) of `values` lie; the nearest one, nothing is interpolated. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.round(share * (sorted.length - 1))]!
}

/** Median, least and greatest of `values`, which are not empty. */
export function spreadOf(values: readonly number[]): Spread {
  return { median: quantile(values, 0.5), min: quantile(values, 0), max: quantile(values, 1) }
}

/** `12.3 (10.1–15.0)`: the median and its spread, `digits` after the point. */
export function spreadText({ median, min, max }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`
}

/** Rows of cells as aligned lines; the first row is the heading, the first column is aligned left. */
export function tableText(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('   ')
      .trimEnd()
  return `${rows.map(line).join('\n')}\n`
}

/** What a reader must know to judge the numbers. */
export interface Machine {
  cores: number
  /** Processes that wanted a core in the last minute, before the measurement. More than `cores` is noise. */
  load: number
  node: string
  platform: string
}

/** The machine as it is now. */
export function machineNow(): Machine {
  return {
    cores: availableParallelism(),
    load: loadavg()[0]!,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
  }
}

/** One sentence on how far to trust what follows. */
export function machineText({ cores, load, node, platform }: Machine): string {
  const busy =
    load > cores / 2 ? ', and other programs use them: absolute times mislead, look at the ratios' : ''
  return `${platform}, Node ${node}, ${cores} cores, load ${load.toFixed(1)}${busy}. Medians, with least and greatest.`
}
