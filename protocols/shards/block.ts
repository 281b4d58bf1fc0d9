/**
 * Blocks and their names. A block is at most `blockBytesMax` bytes; its CID is version 1 with the SHA-256 of the bytes,
 * so whoever holds the CID can check a block from anybody. Hashing is WebCrypto's, ten times faster than any hash in
 * JS.
 */

import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { sha256 } from 'multiformats/hashes/sha2'

/** The CID of `bytes`; `codec` is the multicodec of their form (`raw.code`, `dagCbor.code`). */
export async function cidOf(bytes: Uint8Array, codec: number): Promise<CID> {
  return CID.createV1(codec, createDigest(sha256.code, await hash(bytes)))
}

/** True when `bytes` are the block that `cid` names. */
export async function isBlock(cid: CID, bytes: Uint8Array): Promise<boolean> {
  const digest = await hash(bytes)
  const expected = cid.multihash.digest
  return expected.length === digest.length && expected.every((byte, index) => byte === digest[index])
}

async function hash(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>))
}
