/** Blocks of states, through the shards protocol. States live in memory, and their peers forget them after a while. */

import { CID } from 'multiformats/cid'
import { memoryStore, type Shards } from '../shards/index.ts'
import type { BlockFetch } from './ports.ts'

/**
 * How long a block that nobody has is waited for. A model's blocks may come with the next peer, but a state that is
 * gone does not come back; this is only for peers whose answer is still on its way.
 */
const patienceMs = 2_000

/** Fetches into memory, from this peer's own sources first. */
export function stateBlocks(shards: Pick<Shards, 'fetch'>): BlockFetch {
  return {
    async fetchBlocks(cids, { peers, signal }) {
      const into = memoryStore()
      const wanted = cids.map((cid) => CID.parse(cid))
      await shards.fetch(wanted, { into, peers: () => peers, patienceMs, signal })
      return Promise.all(wanted.map(async (cid) => (await into.get(cid))!))
    },
  }
}
