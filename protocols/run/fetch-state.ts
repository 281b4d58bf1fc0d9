/** Fetching one state by its root: the index first, which names the chunks, then the chunks from all peers at once. */

import type { CID } from 'multiformats/cid'
import type { BlockFetch } from './ports.ts'
import { decodeState, type ExpectedState, readStateIndex, type State } from './state.ts'

export interface FetchState {
  blocks: BlockFetch
  /** CID of the state's index, as text. */
  root: string
  /** Peers that said they hold it. */
  peers: readonly string[]
  expected: ExpectedState
  /** Called when its index is here. */
  onIndex?(): void
}

/**
 * The state named `root`, every byte checked against it.
 * @throws {SwarmError} STATE_MISMATCH when it is not a state of this run; BLOCK_NOT_FOUND when nobody holds it any
 * more.
 */
export async function fetchState(
  { blocks, root, peers, expected, onIndex }: FetchState,
  { signal }: { signal: AbortSignal },
): Promise<State> {
  const options = { peers, signal }
  const [indexBytes] = await blocks.fetchBlocks([root], options)
  const index = readStateIndex(indexBytes!, expected)
  onIndex?.()
  const chunks = await blocks.fetchBlocks(
    index.chunks.map((cid: CID) => cid.toString()),
    options,
  )
  return decodeState(index, chunks)
}
