/**
 * Shards: content-addressed blocks of at most 1 MiB, fetched from many peers at once, checked, resumable.
 *
 *     createNode({ services: { shards: shards({ store: blockStore(new FsBlockstore(path)) }) } })
 *     const model = await node.services.shards.fetchFile(manifest.model.cid, { signal })
 */

import type { PeerComponents } from '../wire/components.ts'
import type { ShardsInit } from './options.ts'
import { Shards } from './service.ts'

export { cidOf, isBlock } from './block.ts'
export { decodeFileIndex, type FileIndex, putFile } from './files.ts'
export { shardsProtocol } from './messages.ts'
export type { FetchOptions, FetchProgress, ShardStats, ShardsInit } from './options.ts'
export type { Shards } from './service.ts'
export { type BlockSource, type BlockStore, blockStore, memoryStore } from './store.ts'

/** The libp2p service. */
export function shards(init: ShardsInit): (components: PeerComponents) => Shards {
  return (components) => new Shards(components, init)
}
