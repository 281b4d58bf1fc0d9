/**
 * The log of a long-running process (`node start`, `coordinator start`): one line for each change. As JSON lines for
 * programs, whose keys are snake_case, or as plain text for people.
 */

import { printable } from '../terminal/format.ts'
import type { CliIo } from './io.ts'

/** Characters of one field as people see it: the longest message of our own, and of strangers no more. */
const fieldLengthMax = 4_000

/** One line. `event` names it; the other fields are data. */
export interface LogLine {
  event: string
  [key: string]: unknown
}

/** Writes lines to stdout: JSON with `--json`, else the time, the event and its fields. */
export function processLog(io: Pick<CliIo, 'stdout'>, { json }: { json: boolean }): (line: LogLine) => void {
  return (line) => io.stdout.write(json ? `${JSON.stringify(line)}\n` : `${plainLine(line)}\n`)
}

/** One line; a list of words, such as addresses that somebody will copy, has a line below it for each. */
function plainLine({ event, ...fields }: LogLine): string {
  const time = new Date().toISOString().slice(11, 19)
  const given = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null)
  const texts = given.filter(([, value]) => !isWords(value)).map(([key, value]) => `${key}=${shown(value)}`)
  const lists = given.flatMap(([key, value]) =>
    isWords(value) ? [`    ${key}:`, ...value.map((word) => `      ${shown(word)}`)] : [],
  )
  return [[time, event, ...texts].join(' '), ...lists].join('\n')
}

function isWords(value: unknown): value is string[] {
  return Array.isArray(value) && value.length > 0 && value.every((word) => typeof word === 'string')
}

function shown(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : value.toPrecision(4)
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const isQuoted = typeof value === 'string' && /[\s"]/.test(text)
  return printable(isQuoted ? JSON.stringify(text) : text, fieldLengthMax)
}
