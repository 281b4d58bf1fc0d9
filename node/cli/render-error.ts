/**
 * What a person or a script is told when a command fails: the message, and what to do about it. A stack is shown only
 * for our own bugs, where it is the thing to report.
 */

import { type ErrorCode, SwarmError } from '../../protocols/core/errors.ts'
import { colorsFor } from '../terminal/colors.ts'
import { printable } from '../terminal/format.ts'
import type { CliIo } from './io.ts'

/** Long enough for every problem of a job file, short enough for a screen. */
const messageLengthMax = 4_000

export interface Failure {
  /** `INTERNAL` for what is nobody's fault but ours. */
  code: ErrorCode | 'INTERNAL'
  message: string
  hint?: string
}

/**
 * Writes `error` to stderr for people, or to stdout as `{"success":false,"error":{…}}`: one line, since it may follow
 * others.
 */
export function renderError(io: CliIo, error: unknown, options: { json: boolean }): void {
  const failure = failureOf(error)
  if (options.json) {
    io.stdout.write(`${JSON.stringify({ success: false, error: failure })}\n`)
    return
  }
  const colors = colorsFor(io.stderr, io.env)
  const lines = failure.message.split('\n').map((line) => printable(line, messageLengthMax))
  io.stderr.write(`${colors.red('error:')} ${lines.join('\n')}\n`)
  if (failure.hint !== undefined) {
    io.stderr.write(`${colors.cyan('hint:')} ${printable(failure.hint, messageLengthMax)}\n`)
  }
  if (failure.code === 'INTERNAL' && error instanceof Error) io.stderr.write(`${error.stack}\n`)
}

/** What there is to say about `error`. */
export function failureOf(error: unknown): Failure {
  if (error instanceof SwarmError) return { code: error.code, message: error.message, hint: error.hint }
  const message = error instanceof Error ? error.message : String(error)
  return {
    code: 'INTERNAL',
    message,
    hint: 'This is a bug in Starling: please report it, with what you did.',
  }
}
