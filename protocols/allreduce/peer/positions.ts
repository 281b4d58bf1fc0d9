/**
 * Where the other peers stand, and whether this one must fetch their state because it cannot follow by itself:
 *
 *     most are more rounds ahead than they keep results of, two of
 *     them or all that are here                                    → at once
 *     others are ahead, and here nothing moves or can be decided   → after `behindMs`
 *     in the same round more peers hold another root (as many: the
 *     lesser root)                                                 → after `behindMs`
 *
 * To be ahead costs a liar a word. So one claim counts for nothing while those that decide this round are here and have
 * not gone on themselves; where a peer does not see them, in a grid, it takes two. What is then looked for is what two
 * have come to. A lone liar can at most call a peer away that cannot go on without it.
 */

import { roundsKept } from '../../core/limits.ts'
import type { RoundBase } from '../plan/base.ts'
import { compareText } from '../plan/electorate.ts'

/** The state that this peer should fetch, and who has it. */
export interface Ahead {
  round: number
  root: string
  peers: string[]
}

/** The round that a peer waits in, as far as it matters for whether it is behind. */
export interface Place {
  base: RoundBase
  /** When anything last moved there. */
  progressAtMs: number
  /** Who decides it may sit where this peer sees nothing of them: there are several rows. */
  isGrid: boolean
  /** True when those that are here and not `isAhead` are enough to decide it. Asked where there is one row. */
  isDecidable(isAhead: (peer: string) => boolean): boolean
}

/** Peers that must say that they are ahead where nobody sees who decides: one could be a liar. */
const claimantsMin = 2

export class Positions {
  readonly #positions = new Map<string, { round: number; root: string; isVoter: boolean }>()
  readonly #following = new Set<string>()
  /** Somebody is ahead. */
  #laggingSinceMs: number | undefined
  /** The same, and nobody is left to go on here with. */
  #strandedSinceMs: number | undefined
  #strayingSinceMs: number | undefined
  #askedAtMs = Number.NEGATIVE_INFINITY
  #asked = 0
  /** The base that `judge` found nobody elsewhere than, and nobody said otherwise since: it is asked at every event. */
  #quietBase: RoundBase | undefined

  /** `peer` said that it holds state `round` named `root`, and whether it may vote there. */
  note(peer: string, { round, root, isVoter }: { round: number; root: string; isVoter: boolean }): void {
    this.#following.delete(peer)
    this.#positions.set(peer, { round, root, isVoter })
    if (this.#quietBase !== undefined && isElsewhere({ round, root }, this.#quietBase))
      this.#quietBase = undefined
  }

  /** Where peers that hold a state said last that they are. */
  get all(): ReadonlyMap<string, { round: number; root: string }> {
    return this.#positions
  }

  /** `peer` said that it has no state and wants results. */
  follow(peer: string): void {
    this.#positions.delete(peer)
    this.#following.add(peer)
  }

  /** `peer` said that it holds a state before that of `round`, and nothing since. */
  isBefore(peer: string, round: number): boolean {
    const position = this.#positions.get(peer)
    return position !== undefined && position.round < round
  }

  isFollowing(peer: string): boolean {
    return this.#following.has(peer)
  }

  forget(peer: string): void {
    this.#positions.delete(peer)
    this.#following.delete(peer)
  }

  /**
   * Everybody here holds a state after `round`, newcomers too, who catch up by the results of rounds that they are not
   * in; and all `peers` said that they vote there: one that fetched its state may still have to learn from `round` that
   * it is a member.
   */
  areAllBeyond(round: number, peers: Iterable<string>): boolean {
    if (this.#following.size > 0) return false
    for (const position of this.#positions.values()) if (position.round <= round) return false
    for (const peer of peers) if (!this.#positions.get(peer)?.isVoter) return false
    return true
  }

  /**
   * The furthest round that two peers have come to, or the one that there is; undefined when nobody has come anywhere.
   * Every newcomer holds what the run starts from.
   */
  get reached(): number | undefined {
    const [furthest, reached = furthest] = [...this.#positions.values()]
      .map(({ round }) => round)
      .filter((round) => round > 0)
      .sort((a, b) => b - a)
    return reached
  }

  /** What to fetch, if this peer, waiting in `place.base`, is behind. */
  judge(place: Place, nowMs: number, behindMs: number): Ahead | undefined {
    const { base } = place
    if (base === this.#quietBase) return undefined
    if (![...this.#positions.values()].some((position) => isElsewhere(position, base))) {
      this.#quietBase = base
      this.#laggingSinceMs = undefined
      this.#strandedSinceMs = undefined
      this.#strayingSinceMs = undefined
      return undefined
    }
    const ahead = this.#countBeyond(base.round)
    this.#laggingSinceMs = ahead > 0 ? (this.#laggingSinceMs ?? nowMs) : undefined
    this.#strandedSinceMs =
      ahead > 0 && this.#isStranded(place, ahead) ? (this.#strandedSinceMs ?? nowMs) : undefined
    if (this.#isMostBeyond(base.round + roundsKept)) return this.#furthestAfter(base.round)
    const { progressAtMs } = place
    if (nowMs - Math.max(this.#strandedSinceMs ?? Number.POSITIVE_INFINITY, progressAtMs) >= behindMs)
      return this.#furthestAfter(base.round)
    const rival = this.#rival(base)
    this.#strayingSinceMs = rival && (this.#strayingSinceMs ?? nowMs)
    if (rival !== undefined && nowMs - this.#strayingSinceMs! >= behindMs) return rival
    return undefined
  }

  /**
   * Somebody further on to ask for what this peer missed, once it has lagged for `wantMs`: another each time, and one
   * at a time. Before, the decision is most likely on its way, and whoever answers sends a whole plan.
   */
  nextToAsk({ round }: RoundBase, nowMs: number, wantMs: number): string | undefined {
    if (nowMs < this.#askDueMs(wantMs)) return undefined
    const peers = [...this.#positions].filter(([, position]) => position.round > round).map(([peer]) => peer)
    this.#askedAtMs = nowMs
    return peers.sort()[this.#asked++ % peers.length]
  }

  /** When `judge` or `nextToAsk` can come to another answer although nobody moved. */
  dueMs(progressAtMs: number, { behindMs, wantMs }: { behindMs: number; wantMs: number }): number {
    const stranded = Math.max(this.#strandedSinceMs ?? Number.POSITIVE_INFINITY, progressAtMs)
    const judgeMs = Math.min(stranded, this.#strayingSinceMs ?? Number.POSITIVE_INFINITY) + behindMs
    return Math.min(judgeMs, this.#askDueMs(wantMs))
  }

  #askDueMs(wantMs: number): number {
    return Math.max(this.#laggingSinceMs ?? Number.POSITIVE_INFINITY, this.#askedAtMs) + wantMs
  }

  /** The furthest state after `round` that two hold, or the one that there is. */
  #furthestAfter(round: number): Ahead | undefined {
    const rounds = [...this.#positions.values()]
      .map((position) => position.round)
      .filter((other) => other > round)
      .sort((a, b) => b - a)
    return this.#mostHeld(rounds[1] ?? rounds[0]!)
  }

  /** Those that are ahead cannot be followed, and without them nothing can be decided here. */
  #isStranded({ base, isGrid, isDecidable }: Place, ahead: number): boolean {
    if (isGrid) return ahead >= claimantsMin || ahead === this.#positions.size
    return !isDecidable((peer) => (this.#positions.get(peer)?.round ?? base.round) > base.round)
  }

  #isMostBeyond(round: number): boolean {
    const beyond = this.#countBeyond(round)
    return 2 * beyond >= this.#positions.size && (beyond >= claimantsMin || beyond === this.#positions.size)
  }

  #countBeyond(round: number): number {
    let beyond = 0
    for (const position of this.#positions.values()) if (position.round > round) beyond++
    return beyond
  }

  #rival({ round, root }: RoundBase): Ahead | undefined {
    const other = this.#mostHeld(round, root)
    if (other === undefined) return undefined
    let same = 0
    for (const position of this.#positions.values())
      if (position.round === round && position.root === root) same++
    const margin = other.peers.length - (same + 1)
    return margin > 0 || (margin === 0 && compareText(other.root, root) < 0) ? other : undefined
  }

  /** The root that most peers hold in `round`, apart from `except`; of equals the lesser. */
  #mostHeld(round: number, except?: string): Ahead | undefined {
    const holders = new Map<string, string[]>()
    for (const [peer, position] of this.#positions) {
      if (position.round !== round || position.root === except) continue
      const peers = holders.get(position.root) ?? []
      holders.set(position.root, peers)
      peers.push(peer)
    }
    if (holders.size === 0) return undefined
    const inOrder = [...holders].sort(
      ([rootA, a], [rootB, b]) => b.length - a.length || compareText(rootA, rootB),
    )
    const [mostHeld, peers] = inOrder[0]!
    return { round, root: mostHeld, peers: peers.sort() }
  }
}

/** True when a peer at `position` is further than `base`, or in its round with another state. */
function isElsewhere(position: { round: number; root: string }, base: RoundBase): boolean {
  return position.round > base.round || (position.round === base.round && position.root !== base.root)
}
