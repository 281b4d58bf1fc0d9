/**
 * Which CIDs name a block of Starling's: version 1, raw or dag-cbor, by its SHA-256. Others are never asked for, served
 * or believed; whoever names one could make it as long as it likes.
 */

import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'

/** @returns true for the CID of a block. */
export function isBlockCid(value: unknown): value is CID {
  const cid = CID.asCID(value)
  if (cid === null || cid.version !== 1) return false
  const isKnownCodec = cid.code === raw.code || cid.code === dagCbor.code
  return isKnownCodec && cid.multihash.code === sha256.code && cid.multihash.size === 32
}
