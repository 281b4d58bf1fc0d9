/**
 * Files as blocks: raw blocks of `blockBytesMax` (the last one shorter) and one dag-cbor index that lists them.
 *
 *     index block                         raw blocks
 *     { v: 1, size, chunks: [CID, …] } ─▶ [ chunk 0 ] [ chunk 1 ] …
 *
 * The CID of the index names the file: the same bytes have the same CID everywhere. One index names up to 4,096 chunks
 * and takes 168 KB, so one level is enough for `fileBytesMax`.
 */

import * as dagCbor from '@ipld/dag-cbor'
import type { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import * as z from 'zod'
import { SwarmError } from '../core/errors.ts'
import { blockBytesMax, fileBytesMax } from '../core/limits.ts'
import { blockCidSchema, decodeMessage } from '../wire/message.ts'
import { cidOf } from './block.ts'
import type { BlockStore } from './store.ts'

export interface FileIndex {
  v: 1
  /** Bytes of the file. */
  size: number
  /** The file's blocks in order. */
  chunks: CID[]
}

const schema: z.ZodType<FileIndex> = z.strictObject({
  v: z.literal(1),
  size: z.number().int().min(0).max(fileBytesMax),
  chunks: z.array(blockCidSchema).max(fileBytesMax / blockBytesMax),
})

/**
 * Cuts `bytes` into blocks and puts them into `store`. @returns the CID that names the file.
 * @throws {SwarmError} LIMIT_EXCEEDED above `fileBytesMax`, STORAGE_FAILED.
 */
export async function putFile(store: BlockStore, bytes: Uint8Array): Promise<CID> {
  if (bytes.byteLength > fileBytesMax) {
    throw new SwarmError(
      'LIMIT_EXCEEDED',
      `a file of ${bytes.byteLength} bytes passes the limit of ${fileBytesMax}`,
    )
  }
  const chunks: CID[] = []
  for (let start = 0; start < bytes.byteLength; start += blockBytesMax) {
    const chunk = bytes.slice(start, start + blockBytesMax)
    const cid = await cidOf(chunk, raw.code)
    await store.put(cid, chunk)
    chunks.push(cid)
  }
  const index = dagCbor.encode<FileIndex>({ v: 1, size: bytes.byteLength, chunks })
  const root = await cidOf(index, dagCbor.code)
  await store.put(root, index)
  return root
}

/**
 * The index in `block`, whose hash has been checked.
 * @throws {SwarmError} MESSAGE_INVALID when it is no index, or its size does not fit its number of chunks.
 */
export function decodeFileIndex(block: Uint8Array): FileIndex {
  const index = decodeMessage(block, { schema, bytesMax: blockBytesMax, what: 'a file index' })
  if (Math.ceil(index.size / blockBytesMax) !== index.chunks.length) {
    throw new SwarmError(
      'MESSAGE_INVALID',
      `a file index: ${index.chunks.length} chunks cannot hold ${index.size} bytes`,
    )
  }
  return index
}
