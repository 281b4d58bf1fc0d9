/**
 * The one state of each run that a coordinator keeps on its disk: the best so far, block by block, so that it can be
 * fetched when the peers have gone. Which one that was needs no record of its own: after a restart it is found among
 * the states that the coordinator has evaluated.
 *
 * Runs of one model begin with the same blocks, so what one run drops may be what another one has kept.
 */

import { CID } from 'multiformats/cid'
import { SwarmError } from '../../protocols/core/errors.ts'
import {
  type ExpectedState,
  encodeState,
  readStateIndex,
  type State,
  stateChunks,
} from '../../protocols/run/state.ts'
import type { BlockStore } from '../../protocols/shards/index.ts'

/** A job that the coordinator knows, and the states of its run that statements name. */
export interface NamedStates {
  job: string
  roots: readonly string[]
}

export class KeptStates {
  readonly #store: BlockStore
  readonly #jobs: () => Iterable<NamedStates>
  /** CIDs of what is kept, for each job that was asked for in this life. */
  readonly #kept = new Map<string, ReadonlySet<string>>()
  /** One at a time: a block that one run drops must not be stored by another one meanwhile. */
  #last: Promise<void> = Promise.resolve()

  /** `jobs`: all that are known, ended ones included. */
  constructor(store: BlockStore, jobs: () => Iterable<NamedStates>) {
    this.#store = store
    this.#jobs = jobs
  }

  /**
   * A function that stores a state's blocks, then drops those of the states of its run kept before: by an earlier call,
   * or in an earlier life under one of the roots `evaluated`. @throws {SwarmError} STORAGE_FAILED.
   */
  async keeper(
    expected: ExpectedState,
    evaluated: readonly string[],
  ): Promise<(root: string, state: State) => Promise<void>> {
    const kept = new Set<string>()
    for (const root of evaluated) for (const cid of await this.#blocksOf(root, expected)) kept.add(cid)
    this.#kept.set(expected.job, kept)
    return (_, state) => {
      const turn = this.#last.then(() => this.#keep(expected.job, state))
      this.#last = turn.catch(() => {}) // whoever asked for it hears of it
      return turn
    }
  }

  async #keep(job: string, state: State): Promise<void> {
    const { blocks } = await encodeState(state)
    for (const [cid, bytes] of blocks) await this.#store.put(CID.parse(cid), bytes)
    const dropped = [...this.#kept.get(job)!].filter((cid) => !blocks.has(cid))
    this.#kept.set(job, new Set(blocks.keys()))
    if (dropped.length === 0) return
    const needed = await this.#keptFor((other) => other !== job)
    for (const cid of dropped) if (!needed.has(cid)) await this.#store.delete(CID.parse(cid))
  }

  /** The blocks of what is kept for all jobs that are known. @throws {SwarmError} STORAGE_FAILED. */
  async blocks(): Promise<CID[]> {
    return [...(await this.#keptFor(() => true))].map((cid) => CID.parse(cid))
  }

  /** CIDs of what is kept for those jobs that `isMeant`. */
  async #keptFor(isMeant: (job: string) => boolean): Promise<Set<string>> {
    const needed = new Set<string>()
    for (const other of this.#jobs()) {
      if (!isMeant(other.job)) continue
      const known = this.#kept.get(other.job)
      for (const cid of known ?? (await this.#blocksNamed(other))) needed.add(cid)
    }
    return needed
  }

  /** The blocks of those states that the store has: of a job that has not been asked for in this life. */
  async #blocksNamed({ roots }: NamedStates): Promise<string[]> {
    const blocks: string[] = []
    for (const root of roots) {
      const index = await this.#store.get(CID.parse(root))
      if (index !== undefined) blocks.push(root, ...unlessMalformed(() => stateChunks(index)))
    }
    return blocks
  }

  /** The blocks of a state whose index the store has; none when it has not, or when another block has that name. */
  async #blocksOf(root: string, expected: ExpectedState): Promise<string[]> {
    const index = await this.#store.get(CID.parse(root))
    if (index === undefined) return []
    // another coordinator's word for it is not ours to delete
    return unlessMalformed(() => [root, ...readStateIndex(index, expected).chunks.map(String)])
  }
}

function unlessMalformed(read: () => string[]): string[] {
  try {
    return read()
  } catch (error) {
    if (error instanceof SwarmError) return []
    throw error
  }
}
