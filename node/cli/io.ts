/**
 * The outside of a command: where it writes, what it reads from the environment, and how it is interrupted. Commands
 * take it as an argument, so that tests run them in the same process.
 *
 * stdout carries data only, so that it can be piped; progress, hints and errors for people go to stderr. The events of
 * `launch` and `watch` are data.
 */

import type { OutputStream } from '../terminal/renderer.ts'

export interface CliIo {
  stdout: OutputStream
  stderr: OutputStream
  env: Readonly<Record<string, string | undefined>>
  /** What relative paths on the command line start from. Absolute. */
  cwd: string
  /**
   * Aborts at the first Ctrl-C or SIGTERM, or when the reader of stdout goes away, with an {@link Interruption} as its
   * reason.
   */
  signal: AbortSignal
}

/** Which signal ended a command; `SIGPIPE`: nobody reads its stdout any more. */
export type InterruptionCause = 'SIGINT' | 'SIGTERM' | 'SIGPIPE'

export class Interruption extends Error {
  override readonly name = 'AbortError'
  override readonly cause: InterruptionCause

  constructor(cause: InterruptionCause) {
    super(`interrupted by ${cause}`)
    this.cause = cause
  }
}

/** Writes one JSON document, as the answer of a command that was asked for `--json`. */
export function writeJson(io: CliIo, value: object): void {
  io.stdout.write(`${JSON.stringify(value, null, 2)}\n`)
}
