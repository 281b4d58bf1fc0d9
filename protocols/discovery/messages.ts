/**
 * What a peer says about itself: HELLO, gossiped on the topic `/starling/hello/2`.
 *
 *     { kind: 1, issued, expires, addresses: […], role, backend, threads, clientOnly, job?: {…}, coordinates?: {…} }
 *
 * Who says it is the signer of the gossip message (gossipsub's StrictSign), so the record does not repeat it. `issued`
 * orders the records of one peer: the newest wins. A record that expires when it is issued is a goodbye.
 */

import * as z from 'zod'
import { gossipBytesMax, helloAddressesMax, helloExpiryMs } from '../core/limits.ts'
import { decodeMessage, encodeMessage } from '../wire/message.ts'
import { type Coordinates, coordinateMax, errorMin } from './coordinates.ts'

/** The gossip topic. Every limit used here is part of it. */
export const helloTopic = '/starling/hello/2'

export type Role = 'node' | 'tab' | 'coordinator'

/** Where a peer stands in its run. */
export interface JobPosition {
  /** CID of the job's manifest, as text. */
  job: string
  /** The round it works on. */
  round: number
  /** Root of the state it holds, as text. */
  root: string
  /** Samples behind that state. */
  weight: number
}

/** What a peer tells others about itself. */
export interface SelfDescription {
  role: Role
  /** The compute backend: `native`, `wasm`, `webgpu`; `none` for a peer that does not train. */
  backend: string
  /** Threads it gives. 0 for a peer that does not train. */
  threads: number
  /** True when others cannot open connections to it. */
  clientOnly: boolean
  /** The job it works on, if any. */
  job?: JobPosition
}

export interface Hello extends SelfDescription {
  kind: 1
  /** Unix time in ms when the peer wrote it. Rises from record to record. */
  issued: number
  /** Unix time in ms after which it no longer holds; `issued` for a goodbye. */
  expires: number
  /** Multiaddrs that end in the peer's id. */
  addresses: string[]
  /** Where it is on the map of round trips, once it has measured any. */
  coordinates?: Coordinates | undefined
}

/** The written tag. */
export const helloKind = 1

const unixMs = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)
const shortText = z.string().min(1).max(128)

const job = z.strictObject({
  job: shortText,
  round: z
    .number()
    .int()
    .min(0)
    .max(2 ** 31),
  root: shortText,
  weight: z.number().min(0),
})

const axis = z.number().min(-coordinateMax).max(coordinateMax)
const coordinates = z.strictObject({
  x: axis,
  y: axis,
  height: z.number().min(0).max(coordinateMax),
  error: z.number().min(errorMin).max(1),
})

const schema: z.ZodType<Hello> = z
  .strictObject({
    kind: z.literal(helloKind),
    issued: unixMs,
    expires: unixMs,
    addresses: z.array(z.string().min(1).max(512)).max(helloAddressesMax),
    role: z.enum(['node', 'tab', 'coordinator']),
    backend: z.string().min(1).max(32),
    threads: z.number().int().min(0).max(4_096),
    clientOnly: z.boolean(),
    job: job.optional(),
    coordinates: coordinates.optional(),
  })
  .refine(({ issued, expires }) => expires >= issued && expires - issued <= helloExpiryMs, {
    path: ['expires'],
    message: `must lie between issued and ${helloExpiryMs} ms later`,
  })

/** The bytes of a HELLO. Fields that are undefined are left out. */
export function encodeHello(hello: Hello): Uint8Array {
  return encodeMessage(Object.fromEntries(Object.entries(hello).filter(([, value]) => value !== undefined)))
}

/** @throws {SwarmError} MESSAGE_TOO_LARGE above `gossipBytesMax`, MESSAGE_INVALID. */
export function decodeHello(bytes: Uint8Array): Hello {
  return decodeMessage(bytes, { schema, bytesMax: gossipBytesMax, what: 'a HELLO' })
}
