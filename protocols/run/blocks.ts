/**
 * Blocks of states, through the shards protocol. States live in memory and are forgotten by their peers after a while, so
 * unlike a model's blocks they are not waited for: when none arrives for a moment, the state is taken as gone.
 */

import { CID } from 'multiformats/cid'
import type { Clock } from '../core/clock.ts'
import { SwarmError } from '../core/errors.ts'
import { memoryStore, type Shards } from '../shards/index.ts'
import type { BlockFetch } from './ports.ts'

/** A block of 1 MiB takes 0.4 s at 20 Mbit/s; ten times that, and somebody who still had it would have answered. */
const stallMs = 4_000

/** Fetches into memory, from this peer's own sources first. */
export function stateBlocks(shards: Pick<Shards, 'fetch'>, clock: Clock): BlockFetch {
  return {
    async fetchBlocks(cids, { peers, signal }) {
      const into = memoryStore()
      const wanted = cids.map((cid) => CID.parse(cid))
      const stalled = new AbortController()
      const giveUp = () =>
        stalled.abort(
          new SwarmError('BLOCK_NOT_FOUND', 'no peer serves this state any more', { retry: 'other-peer' }),
        )
      let stopTimer = clock.setTimer(stallMs, giveUp)
      const onProgress = () => {
        stopTimer()
        stopTimer = clock.setTimer(stallMs, giveUp)
      }
      try {
        await shards.fetch(wanted, {
          into,
          peers: () => peers,
          onProgress,
          signal: AbortSignal.any([signal, stalled.signal]),
        })
      } finally {
        stopTimer()
      }
      return Promise.all(wanted.map(async (cid) => (await into.get(cid))!))
    },
  }
}
