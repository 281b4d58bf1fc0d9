/**
 * Catching up with a run that goes on: fetch a state from the peers that hold it, and meanwhile collect the averages of
 * the rounds that they commit; then apply those in order.
 *
 *     others     r ─────── r+1 ─────── r+2 ─────── r+3
 *     newcomer   follow ┬─ average ─── average ─── average …
 *                       └─ fetch state r+1 … ──▶ apply r+1, r+2, r+3: caught up
 *
 * If the averages collected do not reach back to the state that was fetched, a newer state is fetched.
 */

import type { Clock } from '../core/clock.ts'
import { isAbort, SwarmError } from '../core/errors.ts'
import { fetchState } from './fetch-state.ts'
import type { Averaging, BlockFetch, RoundOutcome, RunGossip, Standing } from './ports.ts'
import type { ExpectedState, State } from './state.ts'

type Committed = Extract<RoundOutcome, { kind: 'committed' }>

export interface CatchUp {
  averaging: Averaging
  gossip: RunGossip
  blocks: BlockFetch
  clock: Clock
  expected: ExpectedState
  /** State `r + 1` from state `r` and the outcome of round `r`. */
  advance(from: State, outcome: Committed): State
  /** Makes `state` this peer's own: hashes it and serves it, which takes a while. */
  settle(state: State): Promise<void>
  signal: AbortSignal
}

/**
 * Bytes of averages held while a state is fetched: 256 MiB, a quarter of what a tab can count on. Beyond it the oldest
 * go, and a newer state is fetched instead.
 */
const bufferBytesMax = 256 << 20

/** One attempt at one state: past this the peers have probably forgotten it, and a newer one is tried. */
const fetchMsMax = 30_000

/**
 * The newest state of the run that can be reached from what the peers serve, made this peer's own by `settle`. Following
 * ends only when nothing more was committed while it settled; so the caller can take its place in the round at once.
 */
export async function catchUp(init: CatchUp): Promise<State> {
  const { averaging, gossip, settle, signal } = init
  const averages = new Map<number, Committed>()
  const stopFollowing = averaging.follow((outcome) => {
    averages.set(outcome.round, outcome)
    const countMax = Math.max(1, Math.floor(bufferBytesMax / outcome.average.byteLength))
    for (const round of averages.keys()) if (averages.size > countMax) averages.delete(round)
  })
  try {
    while (true) {
      signal.throwIfAborted()
      let state = await fetchNewest(init)
      if (state === undefined) await gossip.changed({ signal })
      while (state !== undefined) {
        state = applyAll(state, averages, init)
        if (isLeftBehind(state, averages)) break
        await settle(state)
        if (!averages.has(state.round)) return state
      }
    }
  } finally {
    stopFollowing()
  }
}

/** `state` after all rounds whose averages are here, as far as they follow one another. */
function applyAll(from: State, averages: ReadonlyMap<number, Committed>, { advance }: CatchUp): State {
  let state = from
  for (let next = averages.get(state.round); next !== undefined; next = averages.get(state.round)) {
    state = advance(state, next)
  }
  return state
}

/** A later round was committed than the averages reach from here. */
function isLeftBehind(state: State, averages: ReadonlyMap<number, Committed>): boolean {
  return [...averages.keys()].some((round) => round > state.round)
}

async function fetchNewest({ gossip, blocks, clock, expected, signal }: CatchUp): Promise<State | undefined> {
  const target = newestState(gossip.standings())
  if (target === undefined) return undefined
  const deadline = new AbortController()
  const stopTimer = clock.setTimer(fetchMsMax, () =>
    deadline.abort(
      new SwarmError('TIMEOUT', `state ${target.round} did not arrive in time`, { retry: 'other-peer' }),
    ),
  )
  try {
    return await fetchState(
      { blocks, root: target.root, peers: target.peers, expected },
      { signal: AbortSignal.any([signal, deadline.signal]) },
    )
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof SwarmError || isAbort(error)) return undefined
    throw error
  } finally {
    stopTimer()
  }
}

/** The state to fetch: of the latest round, the one held by the most weight, then by the most peers. */
function newestState(
  standings: ReadonlyMap<string, Standing>,
): { round: number; root: string; peers: string[] } | undefined {
  const holders = new Map<string, { standing: Standing; peers: string[] }>()
  for (const [peer, standing] of standings) {
    const known = holders.get(standing.root) ?? { standing, peers: [] }
    known.peers.push(peer)
    holders.set(standing.root, known)
  }
  const [best] = [...holders.values()].sort(
    (a, b) =>
      b.standing.weight - a.standing.weight ||
      b.standing.round - a.standing.round ||
      b.peers.length - a.peers.length ||
      (a.standing.root < b.standing.root ? -1 : 1),
  )
  return best && { round: best.standing.round, root: best.standing.root, peers: best.peers }
}
