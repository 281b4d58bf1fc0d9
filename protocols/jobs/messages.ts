/**
 * The messages about jobs: dag-cbor maps with a numeric `kind`, written here and never derived from an order.
 *
 *     topic /starling/jobs/1          1 announce { envelope }
 *     topic /starling/run/<job>/1     1 progress { … }          2 statement { envelope }
 *     stream /starling/jobs/1         one request, one response, each in one length-prefixed frame
 *       requests    1 list {}   2 get { job }   3 submit { envelope }   4 show { job }   5 stop { envelope }
 *       responses   1 jobs { jobs }   2 job { envelope }   3 details { … }   4 accepted { job, link? }   5 failed { code, … }
 *
 * Who reports progress is known from gossip's own signature; manifests and statements bring theirs along (signed.ts).
 */

import * as z from 'zod'
import {
  envelopeBytesMax,
  evaluationsMax,
  frameBytesMax,
  gossipBytesMax,
  jobsMax,
  linkLengthMax,
  shownPeersMax,
} from '../core/limits.ts'
import { decodeMessage, encodeMessage } from '../wire/message.ts'
import { cidSchema, integer, jobNameSchema, peerIdSchema } from './spec.ts'

/** Stream protocol for questions about jobs, and the topic on which new jobs are announced. */
export const jobsProtocol = '/starling/jobs/1'
export const jobsTopic = '/starling/jobs/1'

/** The topic of one run. */
export const runTopic = (job: string): string => `/starling/run/${job}/1`

const count = integer(0, Number.MAX_SAFE_INTEGER)
const envelopeSchema = z.custom<Uint8Array>(
  (value) => value instanceof Uint8Array && value.length >= 1 && value.length <= envelopeBytesMax,
  'must be a signed envelope',
)

const progressShape = {
  /** The state that the peer holds. */
  round: count,
  root: cidSchema,
  /** Samples behind all committed updates of that state. */
  weight: z.number().min(0).max(Number.MAX_SAFE_INTEGER),
  phase: z.enum(['waiting', 'syncing', 'training', 'averaging', 'finished']),
  /** Mean loss of the last round's local steps; `null` before the first and when it was not finite. */
  loss: z.number().nullable(),
  /** The last local step gave NaN or infinity. */
  isLossNotFinite: z.boolean(),
  samplesTrained: count,
  samplesPerSecond: z.number().min(0),
  /** For this run, by this peer, since it joined. */
  uploadedBytes: count,
  downloadedBytes: count,
  /** Milliseconds since 1970 by the peer's clock; of two reports of a peer, the later one counts. */
  at: count,
}

const progressSchema = z.strictObject(progressShape)
const shownProgressSchema = z.strictObject({ peer: peerIdSchema, ...progressShape })

/** What a peer says about itself in a run. */
export type Progress = z.infer<typeof progressSchema>

const announceSchema = z.strictObject({ kind: z.literal(1), envelope: envelopeSchema })
const runMessageSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal(1), progress: progressSchema }),
  z.strictObject({ kind: z.literal(2), envelope: envelopeSchema }),
])
export type RunMessage = z.infer<typeof runMessageSchema>

const requestSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal(1) }),
  z.strictObject({ kind: z.literal(2), job: cidSchema }),
  z.strictObject({ kind: z.literal(3), envelope: envelopeSchema }),
  z.strictObject({ kind: z.literal(4), job: cidSchema }),
  z.strictObject({ kind: z.literal(5), envelope: envelopeSchema }),
])
export type Request = z.infer<typeof requestSchema>

/** Where a job stands: `open` until a final verdict, or its owner, ends it. */
const statusSchema = z.enum(['open', 'converged', 'plateaued', 'diverged', 'out-of-budget', 'stopped'])
export type JobStatus = z.infer<typeof statusSchema>

const summarySchema = z.strictObject({
  job: cidSchema,
  name: jobNameSchema,
  owner: peerIdSchema,
  status: statusSchema,
  created: count,
  expires: count,
  /**
   * The newest round that a peer reported, and how many peers report; 0 when the answering peer does not follow the
   * run.
   */
  round: count,
  peers: count,
})
/** One line of a list of jobs. */
export type JobSummary = z.infer<typeof summarySchema>

const detailsSchema = z.strictObject({
  envelope: envelopeSchema,
  /** What the answering peer heard; not signed. */
  progress: z.array(shownProgressSchema).max(shownPeersMax),
  /** Every evaluation, then the verdict and the stop if there are any. */
  statements: z.array(envelopeSchema).max(evaluationsMax + 2),
})
export type JobDetails = z.infer<typeof detailsSchema>

/** The errors that a peer may answer with. */
const failureCodeSchema = z.enum([
  'NOT_FOUND',
  'REFUSED',
  'JOB_INVALID',
  'SIGNATURE_INVALID',
  'EXPIRED',
  'LIMIT_EXCEEDED',
  'MESSAGE_INVALID',
  'MESSAGE_TOO_LARGE',
])
export type FailureCode = z.infer<typeof failureCodeSchema>

const responseSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal(1), jobs: z.array(summarySchema).max(jobsMax) }),
  z.strictObject({ kind: z.literal(2), envelope: envelopeSchema }),
  z.strictObject({ kind: z.literal(3), details: detailsSchema }),
  /** `link`: where browsers can join the run, when the answering peer serves a page for them. */
  z.strictObject({ kind: z.literal(4), job: cidSchema, link: z.string().max(linkLengthMax).optional() }),
  z.strictObject({
    kind: z.literal(5),
    code: failureCodeSchema,
    message: z.string().max(1000),
    hint: z.string().max(1000).optional(),
  }),
])
export type Response = z.infer<typeof responseSchema>

export const runMessageKind = { progress: 1, statement: 2 } as const
export const requestKind = { list: 1, get: 2, submit: 3, show: 4, stop: 5 } as const
export const responseKind = { jobs: 1, job: 2, details: 3, accepted: 4, failed: 5 } as const

/** The code to answer with for any error: what is not the asker's doing is only said to be refused. */
export function failureCode(code: string): FailureCode {
  const parsed = failureCodeSchema.safeParse(code)
  return parsed.success ? parsed.data : 'REFUSED'
}

export const encodeAnnounce = (envelope: Uint8Array): Uint8Array => encodeMessage({ kind: 1, envelope })
export const encodeProgress = (progress: Progress): Uint8Array => encodeMessage({ kind: 1, progress })
export const encodeStatement = (envelope: Uint8Array): Uint8Array => encodeMessage({ kind: 2, envelope })
export const encodeRequest = (request: Request): Uint8Array => encodeMessage(request)
export const encodeResponse = (response: Response): Uint8Array => encodeMessage(response)

/** The signed manifest in an announcement. @throws {SwarmError} MESSAGE_TOO_LARGE, MESSAGE_INVALID */
export function decodeAnnounce(bytes: Uint8Array): Uint8Array {
  const options = { schema: announceSchema, bytesMax: gossipBytesMax, what: 'an announcement of a job' }
  return decodeMessage(bytes, options).envelope
}

/** @throws {SwarmError} MESSAGE_TOO_LARGE, MESSAGE_INVALID */
export function decodeRunMessage(bytes: Uint8Array): RunMessage {
  return decodeMessage(bytes, {
    schema: runMessageSchema,
    bytesMax: gossipBytesMax,
    what: 'a message of a run',
  })
}

/** @throws {SwarmError} MESSAGE_TOO_LARGE, MESSAGE_INVALID */
export function decodeRequest(bytes: Uint8Array): Request {
  return decodeMessage(bytes, {
    schema: requestSchema,
    bytesMax: gossipBytesMax,
    what: 'a question about jobs',
  })
}

/** @throws {SwarmError} MESSAGE_TOO_LARGE, MESSAGE_INVALID */
export function decodeResponse(bytes: Uint8Array): Response {
  return decodeMessage(bytes, {
    schema: responseSchema,
    bytesMax: frameBytesMax,
    what: 'an answer about jobs',
  })
}
