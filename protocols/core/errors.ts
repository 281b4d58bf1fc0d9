/**
 * Errors that are nobody's bug: a person gave bad input, a peer broke a rule, or the world failed.
 *
 * Every one carries a code from the closed list below, says whether trying again can help, and, where a person can mend
 * it, says how (`hint`). Cancellation is not in the list: a cancelled call rethrows `signal.reason`.
 */

/** What went wrong. Grouped by the room that throws it; the wording of the message is the thrower's. */
export type ErrorCode =
  // people: what was typed, written or pointed at
  | 'USAGE'
  | 'JOB_INVALID'
  | 'DATA_MISSING'
  | 'DATA_INVALID'
  | 'DOWNLOAD_FAILED'
  | 'CHECKSUM_MISMATCH'
  | 'NOT_FOUND'
  | 'REFUSED'
  | 'PORT_IN_USE'
  | 'NO_COORDINATOR'
  | 'STORAGE_FAILED'
  // engine
  | 'MODEL_INVALID'
  | 'MODEL_UNSUPPORTED'
  | 'BACKEND_FAILED'
  | 'OUT_OF_MEMORY'
  | 'DEVICE_LOST'
  | 'LOSS_NOT_FINITE'
  // wire and peers
  | 'MESSAGE_INVALID'
  | 'MESSAGE_TOO_LARGE'
  | 'PROTOCOL_VIOLATION'
  | 'VERSION_MISMATCH'
  | 'SIGNATURE_INVALID'
  | 'EXPIRED'
  | 'PEER_UNREACHABLE'
  | 'PEER_GONE'
  | 'BLOCK_NOT_FOUND'
  | 'BLOCK_CORRUPT'
  | 'PART_INVALID'
  | 'STATE_MISMATCH'
  | 'LIMIT_EXCEEDED'
  | 'TIMEOUT'

/** Whether the same call can succeed later, and with whom. */
export type Retry = 'never' | 'same-peer' | 'other-peer'

export interface SwarmErrorDetails {
  /** What the person can do about it: one sentence, imperative. */
  hint?: string
  /** The peer that broke the rule or went away. */
  peer?: string
  /** Default `never`. */
  retry?: Retry
  cause?: unknown
}

export class SwarmError extends Error {
  override readonly name = 'SwarmError'
  readonly code: ErrorCode
  readonly retry: Retry
  readonly peer: string | undefined
  readonly hint: string | undefined

  constructor(code: ErrorCode, message: string, details: SwarmErrorDetails = {}) {
    super(message, { cause: details.cause })
    this.code = code
    this.retry = details.retry ?? 'never'
    this.peer = details.peer
    this.hint = details.hint
  }
}

/** Whether `error` is a `SwarmError` of `code`. */
export function hasCode(error: unknown, code: ErrorCode): error is SwarmError {
  return error instanceof SwarmError && error.code === code
}

/** True for `error` being the reason of an aborted signal: cancelled, not failed. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError')
}
