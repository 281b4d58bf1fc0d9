/**
 * The exit code of every way a command can end, in one table. 0 to 7 are about the command, 100 and more about the job
 * that it followed (the numbers that SkyPilot uses), 130 and 143 are the shell's 128 + signal. None is above 255, where
 * a shell would cut it.
 */

import { type ErrorCode, SwarmError } from '../../protocols/core/errors.ts'
import type { RunEnd } from '../run/run-events.ts'

interface Row {
  code: number
  /** What a person reads in `--help` and in the documentation. */
  meaning: string
}

/** By name, so that no number stands alone in the code. */
export const exitCodes = {
  ok: { code: 0, meaning: 'done; a job that was followed converged' },
  failed: { code: 1, meaning: 'an unexpected failure' },
  usage: { code: 2, meaning: 'wrong arguments, job file, model or data' },
  notFound: { code: 3, meaning: 'no such job or file' },
  refused: { code: 4, meaning: 'refused: signature, expiry, limits, allow-list or swarm key' },
  unreachable: { code: 5, meaning: 'the coordinator, the swarm or a download cannot be reached' },
  timeout: { code: 6, meaning: 'no answer in time' },
  version: { code: 7, meaning: 'incompatible protocol versions' },
  jobFailed: { code: 100, meaning: 'the job failed' },
  jobUnfinished: { code: 101, meaning: 'detached: the job goes on' },
  jobStopped: { code: 103, meaning: 'the job was stopped by its owner' },
  jobUnconverged: { code: 104, meaning: 'the job plateaued or used up its budget' },
  jobDiverged: { code: 105, meaning: 'the job diverged' },
  interrupted: { code: 130, meaning: 'interrupted (Ctrl-C)' },
  terminated: { code: 143, meaning: 'terminated (SIGTERM)' },
} as const satisfies Readonly<Record<string, Row>>

export type ExitName = keyof typeof exitCodes

const exitOfError: { readonly [Code in ErrorCode]: ExitName } = {
  USAGE: 'usage',
  JOB_INVALID: 'usage',
  DATA_MISSING: 'notFound',
  DATA_INVALID: 'usage',
  DOWNLOAD_FAILED: 'unreachable',
  CHECKSUM_MISMATCH: 'refused',
  NOT_FOUND: 'notFound',
  REFUSED: 'refused',
  PORT_IN_USE: 'failed',
  NO_COORDINATOR: 'unreachable',
  STORAGE_FAILED: 'failed',
  MODEL_INVALID: 'usage',
  MODEL_UNSUPPORTED: 'usage',
  BACKEND_FAILED: 'failed',
  OUT_OF_MEMORY: 'failed',
  DEVICE_LOST: 'failed',
  LOSS_NOT_FINITE: 'jobDiverged',
  MESSAGE_INVALID: 'failed',
  MESSAGE_TOO_LARGE: 'failed',
  PROTOCOL_VIOLATION: 'failed',
  VERSION_MISMATCH: 'version',
  SIGNATURE_INVALID: 'refused',
  EXPIRED: 'refused',
  PEER_UNREACHABLE: 'unreachable',
  PEER_GONE: 'unreachable',
  BLOCK_NOT_FOUND: 'unreachable',
  BLOCK_CORRUPT: 'failed',
  PART_INVALID: 'failed',
  STATE_MISMATCH: 'failed',
  LIMIT_EXCEEDED: 'refused',
  TIMEOUT: 'timeout',
}

const exitOfRunEnd: { readonly [End in RunEnd]: ExitName } = {
  converged: 'ok',
  plateaued: 'jobUnconverged',
  'out-of-budget': 'jobUnconverged',
  diverged: 'jobDiverged',
  stopped: 'jobStopped',
}

/** Whether `text`, which another process said, is a code of the list. */
export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === 'string' && Object.hasOwn(exitOfError, text)
}

/** The exit code of a command that threw `error`. What is not a {@link SwarmError} is our bug: 1. */
export function exitCodeOfError(error: unknown): number {
  return exitCodes[error instanceof SwarmError ? exitOfError[error.code] : 'failed'].code
}

/** The exit code of a command that followed a run to its end. */
export function exitCodeOfRun(end: RunEnd): number {
  return exitCodes[exitOfRunEnd[end]].code
}

/** The table as lines of text, for `--help`. */
export function exitCodeLines(): string[] {
  return Object.values(exitCodes).map(({ code, meaning }) => `${String(code).padStart(5)}  ${meaning}`)
}
