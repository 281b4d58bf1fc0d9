/**
 * The page's log: the newest lines of bounded number, what of them a donor wants to see, and all of them as text.
 *
 * Lines come from other peers too (names, error messages), so each is cut; it is shown as text and never as markup.
 */

import type { LogEntry } from '../donation.ts'

/** Lines kept. At two lines a second, a quarter of an hour; about 400 kB of memory. */
export const logLinesMax = 2000

/** Characters of one line: three times the longest that Starling itself writes. */
const lineLengthMax = 600

/** A line and its number since the page was opened, which tells lines apart when old ones go. */
export interface LogLine extends LogEntry {
  index: number
}

export interface LogFilter {
  /** The least level shown. */
  level: LogEntry['level']
  /** Shown lines contain this, in whatever case; empty for all. */
  search: string
}

const severity: Record<LogEntry['level'], number> = { info: 0, warning: 1, error: 2 }

/** `lines` with `entry` behind them; the oldest go beyond {@link logLinesMax}. */
export function withLine(lines: readonly LogLine[], entry: LogEntry): readonly LogLine[] {
  const index = (lines.at(-1)?.index ?? -1) + 1
  const line = { ...entry, text: entry.text.slice(0, lineLengthMax), index }
  return [...lines.slice(-(logLinesMax - 1)), line]
}

/** The lines that `filter` lets through, oldest first. */
export function filtered(lines: readonly LogLine[], { level, search }: LogFilter): readonly LogLine[] {
  const wanted = search.toLowerCase()
  return lines.filter(
    (line) => severity[line.level] >= severity[level] && line.text.toLowerCase().includes(wanted),
  )
}

/** The lines as a text file: one line each, time in UTC. */
export function logText(lines: readonly LogEntry[]): string {
  return lines
    .map(({ atMs, level, text }) => `${new Date(atMs).toISOString()} ${level.padEnd(7)} ${text}\n`)
    .join('')
}
