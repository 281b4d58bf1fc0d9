/**
 * Catching up with a run that goes on: fetch a state from the peers that hold it, and meanwhile collect the averages of
 * the rounds that they commit; then apply those in order.
 *
 *     others     r ─────── r+1 ─────── r+2 ─────── r+3
 *     newcomer   follow ┬─ average ─── average ─── average …
 *                       └─ fetch state r+1 … ──▶ apply r+1, r+2, r+3: caught up
 *
 * Averages come in any order, and one that is late is waited for until something else is heard; if it does not come by
 * then, a later state is fetched (`targets.ts` says which). So does a peer whose state is of another branch.
 */

import type { Clock } from '../core/clock.ts'
import { isAbort, SwarmError } from '../core/errors.ts'
import { fetchState } from './fetch-state.ts'
import { type Committed, FollowedAverages } from './followed-averages.ts'
import type { Averaging, BlockFetch, RunGossip } from './ports.ts'
import type { ExpectedState, State } from './state.ts'
import { type Claim, type Failures, furthestOf, isLeftBehind, type Target, targetsAmong } from './targets.ts'

export interface CatchUp {
  averaging: Averaging
  gossip: RunGossip
  blocks: BlockFetch
  clock: Clock
  expected: ExpectedState
  /** State `r + 1` from state `r` and the outcome of round `r`. */
  advance(from: State, outcome: Committed): State
  /** Makes `state` this peer's own: hashes it and serves it, which takes a while. @returns its root. */
  settle(state: State): Promise<string>
  signal: AbortSignal
}

/** One attempt at one state: past this the peers have probably forgotten it, and a newer one is tried. */
const fetchMsMax = 30_000

/**
 * The same until its index is here, one small block, where there are others to try. What peers held when they were last
 * heard of may be gone: a peer that was cut off hears of each as it reports again.
 */
const indexMsMax = 5_000

/**
 * The newest state of the run that can be reached from what the peers serve, made this peer's own by `settle`.
 * Following ends only when nothing more was committed while it settled; so the caller can take its place in the round
 * at once.
 */
export async function catchUp(init: CatchUp): Promise<State> {
  const averages = new FollowedAverages()
  const stopFollowing = init.averaging.follow((outcome) => averages.add(outcome))
  try {
    return await new CatchingUp(init, averages).reach()
  } finally {
    stopFollowing()
  }
}

class CatchingUp {
  readonly #init: CatchUp
  readonly #averages: FollowedAverages
  /** Roots are tried again when nothing better is left. */
  readonly #failures: Failures = { roots: new Set(), byPeer: new Map() }
  /** A state that was fetched, with the averages that followed it. */
  #held: { state: State; root: string } | undefined

  constructor(init: CatchUp, averages: FollowedAverages) {
    this.#init = init
    this.#averages = averages
  }

  async reach(): Promise<State> {
    const { signal } = this.#init
    while (true) {
      signal.throwIfAborted()
      const [target, ...others] = targetsAmong(this.#claims(), this.#failures, this.#held?.state.round ?? -1)
      const hasOthers = others.length > 0
      if (target === undefined) this.#failures.roots.clear()
      const hasFailed = target !== undefined && !(await this.#fetch(target, hasOthers))
      const reached = (await this.#reached()) ?? (hasFailed ? undefined : await this.#reachedLater())
      if (reached !== undefined) return reached
    }
  }

  /** Where the others stand, by the further of what each says by gossip and over its link. */
  #claims(): Map<string, Claim> {
    const { gossip, averaging } = this.#init
    return furthestOf(gossip.standings(), averaging.standings)
  }

  /** False when the state cannot be had. `hasOthers`: there are others to try. */
  async #fetch(target: Target, hasOthers: boolean): Promise<boolean> {
    const state = await fetchClaimed(target, hasOthers ? indexMsMax : fetchMsMax, this.#init)
    if (state === undefined) this.#fail(target)
    else {
      this.#halveDoubts()
      this.#held = { state, root: await this.#init.settle(state) }
    }
    return state !== undefined
  }

  #fail({ root, peers }: Target): void {
    const { roots, byPeer } = this.#failures
    roots.add(root)
    for (const peer of peers) byPeer.set(peer, (byPeer.get(peer) ?? 0) + 1)
  }

  /** Honest peers forget states that they named, and the more of them the shorter the rounds: that must not stay. */
  #halveDoubts(): void {
    const { byPeer } = this.#failures
    for (const [peer, doubt] of byPeer) byPeer.set(peer, Math.floor(doubt / 2))
  }

  /**
   * The state after all averages that lead on from it; undefined when one between is missing, they are of another
   * branch, or most peers are far beyond.
   */
  async #reached(): Promise<State | undefined> {
    const { advance, settle } = this.#init
    while (this.#held !== undefined) {
      const { state, root } = this.#held
      const next = this.#averages.take(state.round)
      if (next === undefined) {
        const isGap = this.#averages.hasAfter(state.round)
        return isGap || isLeftBehind(this.#claims(), this.#failures.roots, state.round) ? undefined : state
      }
      if (next.root !== root) {
        this.#failures.roots.add(root)
        this.#held = undefined
      } else {
        const following = advance(state, next)
        this.#held = { state: following, root: await settle(following) }
      }
    }
    return undefined
  }

  /** The same, once another average has come or somebody is heard of. */
  async #reachedLater(): Promise<State | undefined> {
    const over = new AbortController()
    const signal = AbortSignal.any([this.#init.signal, over.signal])
    try {
      await Promise.race([this.#init.gossip.changed({ signal }), this.#averages.next])
    } finally {
      over.abort()
    }
    return this.#reached()
  }
}

/**
 * The state that `target` claims to be; undefined when it cannot be had, or is another than was claimed. Its index is
 * waited for as long as `patienceMs`.
 */
async function fetchClaimed(
  target: Target,
  patienceMs: number,
  { blocks, clock, expected, signal }: CatchUp,
): Promise<State | undefined> {
  const deadline = new AbortController()
  const giveUp = () =>
    deadline.abort(
      new SwarmError('TIMEOUT', `state ${target.round} did not arrive in time`, { retry: 'other-peer' }),
    )
  let stopTimer = clock.setTimer(patienceMs, giveUp)
  const onIndex = () => {
    stopTimer()
    stopTimer = clock.setTimer(fetchMsMax, giveUp)
  }
  try {
    const state = await fetchState(
      { blocks, root: target.root, peers: target.peers, expected, onIndex },
      { signal: AbortSignal.any([signal, deadline.signal]) },
    )
    return state.round === target.round ? state : undefined
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof SwarmError || isAbort(error)) return undefined
    throw error
  } finally {
    stopTimer()
  }
}
