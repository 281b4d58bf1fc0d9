/**
 * Catching up with a run that goes on: fetch a state from the peers that hold it, and meanwhile collect the averages of
 * the rounds that they commit; then apply those in order.
 *
 *     others     r ─────── r+1 ─────── r+2 ─────── r+3
 *     newcomer   follow ┬─ average ─── average ─── average …
 *                       └─ fetch state r+1 … ──▶ apply r+1, r+2, r+3: caught up
 *
 * If the averages collected do not reach back to the state that was fetched, or belong to another branch, another state
 * is fetched. It is the latest of which another peer says that it has come as far: where rounds are short hardly two
 * peers name one state at a time, and a lone claim to be further than all costs a liar nothing, and whoever believes it
 * five seconds. Who holds what the run starts from has come nowhere. Of one round it is the rule by which allreduce
 * judges who is behind: the state that most peers hold, of equals the lesser root.
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
  /** Makes `state` this peer's own: hashes it and serves it, which takes a while. @returns its root. */
  settle(state: State): Promise<string>
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
  const { averaging, gossip, signal } = init
  const averages = new Map<number, Committed>()
  const stopFollowing = averaging.follow((outcome) => {
    averages.set(outcome.round, outcome)
    const countMax = Math.max(1, Math.floor(bufferBytesMax / outcome.average.byteLength))
    for (const round of averages.keys()) if (averages.size > countMax) averages.delete(round)
  })
  /** Roots that could not be had, or led nowhere. Tried again when nothing else is left. */
  const failed = new Set<string>()
  try {
    while (true) {
      signal.throwIfAborted()
      const [target, ...others] = targetsAmong(gossip.standings(), failed)
      const patienceMs = others.length > 0 ? indexMsMax : fetchMsMax
      const state = target && (await fetchClaimed(target, patienceMs, init))
      const reached = state && (await followFrom(state, averages, init))
      if (reached !== undefined) return reached
      if (target === undefined) failed.clear()
      else failed.add(target.root)
      if (target === undefined || state !== undefined) await gossip.changed({ signal })
    }
  } finally {
    stopFollowing()
  }
}

/** `from` after all rounds that follow it; undefined when the averages do not lead on from there. */
async function followFrom(
  from: State,
  averages: Map<number, Committed>,
  { advance, settle }: CatchUp,
): Promise<State | undefined> {
  let state = from
  let root = await settle(state)
  for (let next = averages.get(state.round); next !== undefined; next = averages.get(state.round)) {
    averages.delete(state.round)
    if (next.root !== root) return undefined
    state = advance(state, next)
    root = await settle(state)
  }
  const isLeftBehind = [...averages.keys()].some((round) => round > state.round)
  return isLeftBehind ? undefined : state
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

/** A state that peers say they hold. */
interface Target {
  round: number
  root: string
  peers: string[]
}

/** What there is to fetch, in the order in which it is tried, without what has failed. */
function targetsAmong(standings: ReadonlyMap<string, Standing>, failed: ReadonlySet<string>): Target[] {
  const targets = new Map<string, Target>()
  for (const [peer, { round, root }] of standings) {
    if (failed.has(root)) continue
    const target = targets.get(root) ?? { round, root, peers: [] }
    target.peers.push(peer)
    targets.set(root, target)
  }
  const [furthest = 0, reached = furthest] = [...standings.values()]
    .map(({ round }) => round)
    .filter((round) => round > 0)
    .sort((a, b) => b - a)
  return [...targets.values()].sort(
    (a, b) =>
      Number(a.round > reached) - Number(b.round > reached) ||
      b.round - a.round ||
      b.peers.length - a.peers.length ||
      (a.root < b.root ? -1 : 1),
  )
}
