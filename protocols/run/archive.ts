/**
 * The newest states of a run, held in memory so that newcomers and the coordinator can fetch them.
 *
 * Kept are the newest states as far as memory allows, the last *milestones* (the states whose round the coordinator may
 * evaluate), and the last states that somebody began to fetch: a round can be much shorter than hearing of a state,
 * fetching it and evaluating it.
 */

import type { CID } from 'multiformats/cid'
import type { EncodedState } from './state.ts'

/** Of the newest states, always this many: one being fetched, one just committed. */
const recentMin = 2

/** And never more: with rounds of 50 ms, sixteen outlast the half second between two progress messages. */
const recentMax = 16

/**
 * Bytes that the newest states may take beyond `recentMin`: an eighth of the gigabyte that a browser tab can count on.
 */
const recentBytesMax = 128 << 20

/** Milestones kept: the coordinator may still evaluate one while the next is reached. */
const milestonesMax = 2

/** States kept because somebody asked for their index: a newcomer and the coordinator at the same time. */
const fetchedMax = 2

export class StateArchive {
  readonly #milestoneEvery: number
  readonly #states = new Map<number, EncodedState>()
  /** Rounds whose index was asked for, oldest request first. */
  readonly #fetched = new Set<number>()

  /** `milestoneEvery`: rounds between the states that the coordinator evaluates, >= 1. */
  constructor(milestoneEvery: number) {
    this.#milestoneEvery = milestoneEvery
  }

  /** Adds the state of `round` and forgets what is no longer needed. */
  add(round: number, state: EncodedState): void {
    this.#states.set(round, state)
    const kept = new Set([...this.#recent(), ...this.#milestones(), ...this.#fetched])
    for (const known of this.rounds) if (!kept.has(known)) this.#states.delete(known)
  }

  /** The rounds whose states are held, newest first. */
  get rounds(): number[] {
    return [...this.#states.keys()].sort((a, b) => b - a)
  }

  has(cid: CID): boolean {
    return this.#find(cid) !== undefined
  }

  /** The block named `cid`, borrowed: do not change it. Asking for an index keeps its state for a while. */
  async get(cid: CID): Promise<Uint8Array | undefined> {
    const found = this.#find(cid)
    if (found === undefined) return undefined
    const [round, state] = found
    if (state.root.equals(cid)) this.#keepFetched(round)
    return state.blocks.get(cid.toString())
  }

  #recent(): number[] {
    let bytes = 0
    return this.rounds.slice(0, recentMax).filter((round, place) => {
      for (const block of this.#states.get(round)!.blocks.values()) bytes += block.byteLength
      return place < recentMin || bytes <= recentBytesMax
    })
  }

  #milestones(): number[] {
    return this.rounds.filter((round) => round % this.#milestoneEvery === 0).slice(0, milestonesMax)
  }

  #keepFetched(round: number): void {
    this.#fetched.delete(round)
    this.#fetched.add(round)
    if (this.#fetched.size > fetchedMax) {
      const [oldest] = this.#fetched
      this.#fetched.delete(oldest!)
    }
  }

  #find(cid: CID): [number, EncodedState] | undefined {
    const key = cid.toString()
    for (const entry of this.#states) if (entry[1].blocks.has(key)) return entry
    return undefined
  }
}
