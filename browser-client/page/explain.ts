/**
 * What went wrong, in a donor's words, and what they can do: one row for each code of `SwarmError`.
 *
 * The error's own message names the thing and its value, for whoever is asked for help; it is shown below, small. Where
 * the error carries a hint, that is nearer to the case than the remedy here, and is shown in its place.
 */

import { type ErrorCode, SwarmError } from '../../protocols/core/errors.ts'

export interface Explanation {
  /** A few words. */
  title: string
  /** What it means: one sentence. */
  meaning: string
  /** What to do: one sentence, imperative. */
  remedy: string
  /** The error's own words. */
  detail: string
  /** Stable, for a report. */
  code: ErrorCode | 'BUG'
}

const newLink = 'Ask the owner of the job for a new link.'
const later = 'Wait a minute and try again; the swarm goes on without you meanwhile.'
const updated = 'Reload the page to get its newest version.'

/** Without a meaning of its own, the error's message is what a donor can understand. */
type Plain = readonly [title: string, meaning: string | null, remedy: string]

const notTheirs = 'A peer sent something that breaks the rules; nothing of it was used.'

const plain: { readonly [Code in ErrorCode]: Plain } = {
  USAGE: ['That does not work', null, newLink],
  JOB_INVALID: [
    'This job cannot be run',
    'What its owner signed is not a job that this page understands.',
    newLink,
  ],
  DATA_MISSING: ['The data is not there', 'No peer has all of the data that the job is trained on.', later],
  DATA_INVALID: [
    'The data is not what was promised',
    'It differs from what the owner signed, so it was not used.',
    newLink,
  ],
  DOWNLOAD_FAILED: ['A download failed', 'Part of the program, the model or the data did not arrive.', later],
  CHECKSUM_MISMATCH: [
    'A download was damaged',
    'What arrived is not what was asked for, and was thrown away.',
    later,
  ],
  NOT_FOUND: [
    'Nobody here knows this job',
    'It may have ended, or was never brought to this swarm.',
    newLink,
  ],
  REFUSED: ['Not now', null, later],
  PORT_IN_USE: [
    'A port is taken',
    'Another program uses the network port that was asked for.',
    'Close the other program.',
  ],
  NO_COORDINATOR: ['The coordinator is gone', 'Nobody answers where this link points to.', later],
  STORAGE_FAILED: [
    'The browser has no room left',
    'Model and data could not be kept in this browser.',
    'Free some space, or leave private browsing, and try again.',
  ],
  MODEL_INVALID: ['The model cannot be read', 'The file that the owner signed is not a model.', newLink],
  MODEL_UNSUPPORTED: [
    'The model is beyond this page',
    'It uses an operation that Starling cannot train yet.',
    updated,
  ],
  BACKEND_FAILED: [
    'The processor gave up',
    'Neither the graphics card nor the processor could run the model here.',
    'Switch the graphics card off in the settings and start again.',
  ],
  DEVICE_LOST: [
    'The graphics card went away',
    'The browser or the system took it from this tab, and it did not come back.',
    'Start again, with the graphics card switched off if this repeats.',
  ],
  OUT_OF_MEMORY: [
    'Not enough memory',
    'This machine, or this tab, has too little memory for the model.',
    'Close other tabs and start again, or help with a smaller job.',
  ],
  LOSS_NOT_FINITE: [
    'The training went astray',
    'The numbers of this run became infinite; that is the run’s fault, not yours.',
    newLink,
  ],
  MESSAGE_INVALID: ['A peer sent nonsense', notTheirs, later],
  MESSAGE_TOO_LARGE: ['A peer sent too much', notTheirs, later],
  PROTOCOL_VIOLATION: ['A peer broke the rules', notTheirs, later],
  VERSION_MISMATCH: [
    'This page and the swarm differ in version',
    'They do not speak the same protocol.',
    updated,
  ],
  SIGNATURE_INVALID: [
    'The signature is wrong',
    'The job was not signed by the owner it names, so nothing was run.',
    newLink,
  ],
  EXPIRED: ['This link has expired', 'The owner gave the job an end, and it has passed.', newLink],
  PEER_UNREACHABLE: [
    'Nobody could be reached',
    'None of the peers named in the link answers from here.',
    'Check your connection; a firewall may block WebSockets.',
  ],
  PEER_GONE: ['The other peers are gone', 'All peers of this run have left.', later],
  BLOCK_NOT_FOUND: ['Part of the job is missing', 'No peer has all of the model and the data.', later],
  BLOCK_CORRUPT: ['A peer sent damaged data', notTheirs, later],
  PART_INVALID: ['A peer sent a wrong part', notTheirs, later],
  STATE_MISMATCH: [
    'This tab lost step',
    'Its copy of the model differs from that of the others.',
    'Start again; the tab then fetches the others’ copy.',
  ],
  LIMIT_EXCEEDED: ['The job asks for too much', 'It is over a limit that protects you.', newLink],
  TIMEOUT: ['That took too long', 'An answer did not come in time.', later],
}

/** `error` in a donor's words. What is not a {@link SwarmError} is a bug of ours, and said to be one. */
export function explain(error: unknown): Explanation {
  if (error instanceof SwarmError) {
    const [title, meaning, remedy] = plain[error.code]
    return {
      title,
      meaning: meaning ?? sentence(error.message),
      remedy: error.hint ?? remedy,
      detail: error.message,
      code: error.code,
    }
  }
  return {
    title: 'Something broke that should not',
    meaning: 'This is a mistake in Starling, not yours.',
    remedy: 'Reload the page; if it comes again, send the log below to the owner of the job.',
    detail: error instanceof Error ? error.message : String(error),
    code: 'BUG',
  }
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`
}
