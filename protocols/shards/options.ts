/** What callers give to the shards service and get from it. The service itself is `service.ts`. */

import type { Clock } from '../core/clock.ts'
import type { Random } from '../core/random.ts'
import type { BlockSource, BlockStore } from './store.ts'

export interface ShardsInit {
  /** Where fetched blocks go, and the first place that blocks are served from. */
  store: BlockStore
  /** More places to serve from; `addSource` adds to them later. */
  sources?: readonly BlockSource[]
  /** Blocks in flight at one peer, 1 to 64. Default 4. */
  depth?: number
  clock?: Clock
  /** Which block is asked next. Default: seeded from this peer's id, so that peers begin at different ends. */
  random?: Random
}

export interface FetchOptions {
  /** Peers that have it, if known: they are dialled when not connected. All other connected peers are asked as well. */
  peers?: () => readonly string[]
  /** Called after each block. */
  onProgress?(progress: FetchProgress): void
  /** Where the blocks go. Default: the service's store. */
  into?: BlockStore
  /**
   * A block that no connected peer has after this long is given up. Default: never; the signal is the only deadline.
   */
  patienceMs?: number
  signal?: AbortSignal
}

export interface FetchProgress {
  /** Blocks that are in the store now, those that were there before included. */
  blocks: number
  /** Blocks asked for. */
  blocksTotal: number
  /** Bytes that came over the network. */
  bytes: number
}

export interface ShardStats {
  blocksUp: number
  bytesUp: number
  blocksDown: number
  bytesDown: number
  /** Blocks that came a second time, because a slow peer's were asked of another. */
  duplicateBlocks: number
  corruptBlocks: number
}
