/**
 * Questions about jobs to one peer: each opens a stream, sends a request, reads the answer and closes. What comes back
 * is verified here, so a caller never sees a job or a statement that its owner or a coordinator has not signed.
 */

import { peerIdFromString } from '@libp2p/peer-id'
import { isAbort, SwarmError } from '../core/errors.ts'
import { jobsAnswerMs } from '../core/limits.ts'
import type { PeerComponents } from '../wire/components.ts'
import { FrameStream } from '../wire/stream.ts'
import {
  decodeResponse,
  encodeRequest,
  type JobSummary,
  jobsProtocol,
  type Progress,
  type Request,
  type Response,
  requestKind,
  responseKind,
} from './messages.ts'
import { openManifest, openStatement, type SignedJob, type SignedStatement } from './signed.ts'

/** What a peer knows about one job. */
export interface RemoteJob extends SignedJob {
  /** What that peer heard from others; not signed. */
  progress: (Progress & { peer: string })[]
  /** Signed by somebody; whether by the right one is for the registry to say. */
  statements: SignedStatement[]
}

/** Options of a waiting call. */
export interface CallOptions {
  signal?: AbortSignal
}

/**
 * The jobs that one peer knows. All calls throw SwarmError: PEER_UNREACHABLE, PEER_GONE, TIMEOUT, or the peer's
 * refusal.
 */
export interface RemoteJobs {
  list(options?: CallOptions): Promise<JobSummary[]>
  /** The signed manifest. @throws {SwarmError} NOT_FOUND */
  get(job: string, options?: CallOptions): Promise<SignedJob>
  /** The signed manifest, progress and statements. @throws {SwarmError} NOT_FOUND */
  show(job: string, options?: CallOptions): Promise<RemoteJob>
  /**
   * Hands over a job, which the peer announces to the swarm. `link`: where browsers can join its run.
   * @throws {SwarmError} REFUSED and the like, with the reason.
   */
  submit(envelope: Uint8Array, options?: CallOptions): Promise<{ link: string | undefined }>
  /** Hands over a signed stop, which the peer passes on. @throws {SwarmError} NOT_FOUND, REFUSED */
  stop(envelope: Uint8Array, options?: CallOptions): Promise<void>
}

/** Asks `peer`, dialing it if need be. */
export function remoteJobs(
  { connectionManager }: Pick<PeerComponents, 'connectionManager'>,
  peer: string,
): RemoteJobs {
  const ask = async <Kind extends Response['kind']>(
    request: Request,
    kind: Kind,
    options: CallOptions = {},
  ): Promise<Extract<Response, { kind: Kind }>> => {
    const response = await exchange(connectionManager, peer, request, options)
    if (response.kind === responseKind.failed) {
      throw new SwarmError(response.code, response.message, { peer, hint: response.hint })
    }
    if (response.kind !== kind) throw violation(peer, 'answered another question')
    return response as Extract<Response, { kind: Kind }>
  }
  return {
    async list(options) {
      return (await ask({ kind: requestKind.list }, responseKind.jobs, options)).jobs
    },
    async get(job, options) {
      const { envelope } = await ask({ kind: requestKind.get, job }, responseKind.job, options)
      return opened(peer, job, envelope)
    },
    async show(job, options) {
      const { details } = await ask({ kind: requestKind.show, job }, responseKind.details, options)
      return {
        ...(await opened(peer, job, details.envelope)),
        progress: details.progress,
        statements: await Promise.all(details.statements.map(openStatement)),
      }
    },
    async submit(envelope, options) {
      const { link } = await ask({ kind: requestKind.submit, envelope }, responseKind.accepted, options)
      return { link }
    },
    async stop(envelope, options) {
      await ask({ kind: requestKind.stop, envelope }, responseKind.accepted, options)
    },
  }
}

async function exchange(
  connectionManager: PeerComponents['connectionManager'],
  peer: string,
  request: Request,
  options: CallOptions,
): Promise<Response> {
  const deadline = AbortSignal.timeout(jobsAnswerMs)
  const signal = options.signal === undefined ? deadline : AbortSignal.any([deadline, options.signal])
  const frames = await openFrames(connectionManager, peer, signal).catch((cause: unknown) => {
    options.signal?.throwIfAborted()
    throw new SwarmError('PEER_UNREACHABLE', `peer ${peer} cannot be asked about jobs`, {
      peer,
      retry: 'same-peer',
      cause,
      hint: 'Check that it runs, and that its address is right.',
    })
  })
  const onAbort = () => frames.abort(signal.reason as Error)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await frames.send(encodeRequest(request), { signal })
    frames.close()
    for await (const frame of frames.frames) return decodeResponse(frame)
    throw new SwarmError('PEER_GONE', `peer ${peer} closed without an answer`, { peer, retry: 'same-peer' })
  } catch (error) {
    frames.abort(error instanceof Error ? error : new Error(String(error)))
    options.signal?.throwIfAborted()
    if (deadline.aborted || isAbort(error)) {
      throw new SwarmError('TIMEOUT', `peer ${peer} gave no answer in ${jobsAnswerMs / 1000} s`, {
        peer,
        retry: 'same-peer',
        cause: error,
      })
    }
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

async function openFrames(
  connectionManager: PeerComponents['connectionManager'],
  peer: string,
  signal: AbortSignal,
): Promise<FrameStream> {
  const target = peerIdFromString(peer)
  const stream = await connectionManager.openStream(target, jobsProtocol, {
    signal,
    runOnLimitedConnection: true,
  })
  return new FrameStream(stream, { peer })
}

async function opened(peer: string, job: string, envelope: Uint8Array): Promise<SignedJob> {
  const signed = await openManifest(envelope)
  if (signed.job !== job) throw violation(peer, `answered with job ${signed.job} instead of ${job}`)
  return signed
}

function violation(peer: string, what: string): SwarmError {
  return new SwarmError('PROTOCOL_VIOLATION', `peer ${peer} ${what}`, { peer, retry: 'other-peer' })
}
