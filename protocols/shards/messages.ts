/**
 * What peers say to each other about blocks, on `/starling/shards/1`. The peer that wants opens the stream.
 *
 *     wanting peer ── want {kind: 1, cids} ──────────▶ holding peer
 *                  ◀─ block {kind: 2, cid, bytes} ────   one of the two for each CID asked, in the order asked
 *                  ◀─ dontHave {kind: 3, cid} ────────
 *                  ◀─ have {kind: 4, cids} ───────────   later: what it did not have when asked, it has now
 *
 * Whether the bytes match the CID is checked by the service, which hashes; here only the form is.
 */

import type { CID } from 'multiformats/cid'
import * as z from 'zod'
import { blockBytesMax, frameBytesMax, wantCidsMax } from '../core/limits.ts'
import { blockCidSchema, decodeMessage } from '../wire/message.ts'

/** Protocol id. Every limit used here is part of it. */
export const shardsProtocol = '/starling/shards/1'

export type ShardMessage =
  | { kind: 1; cids: CID[] }
  | { kind: 2; cid: CID; bytes: Uint8Array }
  | { kind: 3; cid: CID }
  | { kind: 4; cids: CID[] }

/** The written tags, by name. */
export const shardKinds = { want: 1, block: 2, dontHave: 3, have: 4 } as const

const cids = z.array(blockCidSchema).min(1).max(wantCidsMax)

const bytes = z.custom<Uint8Array>(
  (value) => value instanceof Uint8Array && value.byteLength <= blockBytesMax,
  `must be at most ${blockBytesMax} bytes`,
)

const schema: z.ZodType<ShardMessage> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal(shardKinds.want), cids }),
  z.strictObject({ kind: z.literal(shardKinds.block), cid: blockCidSchema, bytes }),
  z.strictObject({ kind: z.literal(shardKinds.dontHave), cid: blockCidSchema }),
  z.strictObject({ kind: z.literal(shardKinds.have), cids }),
])

/** @throws {SwarmError} MESSAGE_TOO_LARGE, MESSAGE_INVALID. */
export function decodeShardMessage(frame: Uint8Array): ShardMessage {
  return decodeMessage(frame, { schema, bytesMax: frameBytesMax, what: 'a shards message' })
}

export { encodeMessage as encodeShardMessage } from '../wire/message.ts'
