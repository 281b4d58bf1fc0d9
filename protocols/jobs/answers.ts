/**
 * Answers other peers' questions about jobs: one request and one response on each stream, within a deadline. The asking
 * side is remote.ts.
 */

import type { Stream } from '@libp2p/interface'
import type { Clock } from '../core/clock.ts'
import { SwarmError } from '../core/errors.ts'
import { gossipBytesMax, jobsAnswerMs } from '../core/limits.ts'
import { FrameStream } from '../wire/stream.ts'
import {
  decodeRequest,
  encodeResponse,
  failureCode,
  type JobSummary,
  type Request,
  type Response,
  requestKind,
  responseKind,
} from './messages.ts'
import { detailsOf, type JobRecord } from './record.ts'

/** What the questions are about. */
export interface JobsDesk {
  list(): JobSummary[]
  /** @throws {SwarmError} NOT_FOUND */
  known(job: string): JobRecord
  /** Takes up a submitted job; returns its id. @throws {SwarmError} with the reason for the asker. */
  submit(envelope: Uint8Array): Promise<string>
  /** Takes a signed stop; returns the job's id. @throws {SwarmError} with the reason for the asker. */
  stop(envelope: Uint8Array): Promise<string>
  /** Where browsers can join the run of `job`, if there is such a place. */
  linkTo(job: string): string | undefined
}

/**
 * Reads one request from `stream`, answers it and closes.
 * @throws {SwarmError} when the peer went away, took too long or sent no frame.
 */
export async function answerOn(stream: Stream, peer: string, desk: JobsDesk, clock: Clock): Promise<void> {
  const frames = new FrameStream(stream, { peer, clock, readBytesMax: gossipBytesMax })
  const cancel = clock.setTimer(jobsAnswerMs, () =>
    frames.abort(
      new SwarmError('TIMEOUT', `peer ${peer} asked nothing in ${jobsAnswerMs / 1000} s`, { peer }),
    ),
  )
  try {
    for await (const frame of frames.frames) {
      await frames.send(encodeResponse(await respond(frame, desk)))
      break
    }
    frames.close()
  } finally {
    cancel()
  }
}

async function respond(frame: Uint8Array, desk: JobsDesk): Promise<Response> {
  try {
    return await fulfil(decodeRequest(frame), desk)
  } catch (error) {
    if (!(error instanceof SwarmError)) throw error
    return {
      kind: responseKind.failed,
      code: failureCode(error.code),
      message: error.message.slice(0, 1000),
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    }
  }
}

async function fulfil(request: Request, desk: JobsDesk): Promise<Response> {
  switch (request.kind) {
    case requestKind.list:
      return { kind: responseKind.jobs, jobs: desk.list() }
    case requestKind.get:
      return { kind: responseKind.job, envelope: desk.known(request.job).envelope }
    case requestKind.show:
      return { kind: responseKind.details, details: detailsOf(desk.known(request.job)) }
    case requestKind.submit: {
      const job = await desk.submit(request.envelope)
      const link = desk.linkTo(job)
      return { kind: responseKind.accepted, job, ...(link === undefined ? {} : { link }) }
    }
    case requestKind.stop:
      return { kind: responseKind.accepted, job: await desk.stop(request.envelope) }
  }
}
