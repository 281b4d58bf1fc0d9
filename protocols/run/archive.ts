/**
 * The newest states of a run, held in memory so that newcomers and the coordinator can fetch them.
 *
 * Kept are the last few states (a peer that fell one round behind finds what it needs) and the last few *milestones*,
 * the states whose round the coordinator may evaluate: rounds can be much shorter than fetching and evaluating a state.
 */

import type { CID } from 'multiformats/cid'
import type { EncodedState } from './state.ts'

/** States kept besides milestones. Two rounds of grace: one being fetched, one just committed. */
const recentMax = 2

/** Milestones kept. Two: the coordinator may still evaluate one while the next is reached. */
const milestonesMax = 2

export class StateArchive {
  readonly #milestoneEvery: number
  readonly #states = new Map<number, EncodedState>()

  /** `milestoneEvery`: rounds between the states that the coordinator evaluates, >= 1. */
  constructor(milestoneEvery: number) {
    this.#milestoneEvery = milestoneEvery
  }

  /** Adds the state of `round` and forgets what is no longer needed. */
  add(round: number, state: EncodedState): void {
    this.#states.set(round, state)
    const rounds = [...this.#states.keys()].sort((a, b) => b - a)
    const milestones = rounds.filter((r) => r % this.#milestoneEvery === 0).slice(0, milestonesMax)
    const kept = new Set([...rounds.slice(0, recentMax), ...milestones])
    for (const known of rounds) if (!kept.has(known)) this.#states.delete(known)
  }

  /** The rounds whose states are held, newest first. */
  get rounds(): number[] {
    return [...this.#states.keys()].sort((a, b) => b - a)
  }

  has(cid: CID): boolean {
    return this.#find(cid) !== undefined
  }

  /** The block named `cid`, borrowed: do not change it. */
  async get(cid: CID): Promise<Uint8Array | undefined> {
    return this.#find(cid)
  }

  #find(cid: CID): Uint8Array | undefined {
    const key = cid.toString()
    for (const state of this.#states.values()) {
      const block = state.blocks.get(key)
      if (block !== undefined) return block
    }
    return undefined
  }
}
