/**
 * The one state of a run that a coordinator keeps on its disk: the best so far, block by block, so that it can be fetched when
 * the peers have gone. Which one that was needs no record of its own: after a restart it is found among the states that
 * the coordinator has evaluated.
 */

import { CID } from 'multiformats/cid'
import { SwarmError } from '../protocols/core/errors.ts'
import { type ExpectedState, encodeState, readStateIndex, type State } from '../protocols/run/state.ts'
import type { BlockStore } from '../protocols/shards/index.ts'

/**
 * A function that stores a state's blocks, then drops those of the states kept before: by an earlier call, or in an earlier
 * life under one of the roots `evaluated`. @throws {SwarmError} STORAGE_FAILED.
 */
export async function keepOne(
  store: BlockStore,
  expected: ExpectedState,
  evaluated: readonly string[],
): Promise<(root: string, state: State) => Promise<void>> {
  let kept = new Set<string>()
  for (const root of evaluated) for (const cid of await blocksOf(store, root, expected)) kept.add(cid)
  return async (_, state) => {
    const { blocks } = await encodeState(state)
    for (const [cid, bytes] of blocks) await store.put(CID.parse(cid), bytes)
    for (const cid of kept) if (!blocks.has(cid)) await store.delete(CID.parse(cid))
    kept = new Set(blocks.keys())
  }
}

/** The blocks of a state whose index the store has; none when it has not, or when another block has that name. */
async function blocksOf(store: BlockStore, root: string, expected: ExpectedState): Promise<string[]> {
  const index = await store.get(CID.parse(root))
  if (index === undefined) return []
  try {
    return [root, ...readStateIndex(index, expected).chunks.map((chunk) => chunk.toString())]
  } catch (error) {
    if (error instanceof SwarmError) return [] // another coordinator's word for it: not ours to delete
    throw error
  }
}
