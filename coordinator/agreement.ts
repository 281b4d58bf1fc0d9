/**
 * Which states the peers of a run agree on, and where they do not. A state is *agreed* when more than half of the
 * reporting peers have named it; so one peer that lies about its root cannot choose what is measured.
 */

import type { RunRecord, StateName, SupportedState } from './run-record.ts'

/** Peers that hold different states of one round. Healthy runs have none: a round is decided once. */
export interface Fork {
  round: number
  /** The states held, the one with most peers first. */
  branches: { root: string; peers: string[] }[]
}

/** The states that a majority has named, newest first. */
export function agreedStates(record: RunRecord): StateName[] {
  return [...record.supported]
    .filter(({ peers }) => peers.size * 2 > record.reporterCount)
    .map(({ state }) => state)
    .sort((a, b) => b.round - a.round)
}

/**
 * What the run starts from, before anything else: who has not measured that cannot tell that a run blew up in its first
 * rounds. Then the newest agreed milestone, unless it or a later one has been evaluated.
 */
export function nextEvaluation(record: RunRecord): StateName | undefined {
  if (record.evaluations.length === 0) return record.first
  const newest = agreedStates(record).find(({ round }) => record.isMilestone(round))
  const evaluatedRound = record.evaluations.at(-1)?.round ?? -1
  return newest !== undefined && newest.round > evaluatedRound ? newest : undefined
}

/** Every round on which the reporting peers disagree, the latest first. */
export function findForks(record: RunRecord): Fork[] {
  const rounds = new Map<number, SupportedState[]>()
  for (const supported of record.supported) {
    const branches = rounds.get(supported.state.round)
    if (branches === undefined) rounds.set(supported.state.round, [supported])
    else branches.push(supported)
  }
  return [...rounds]
    .filter(([, branches]) => branches.length > 1)
    .map(([round, branches]) => ({
      round,
      branches: branches
        .map(({ state, peers }) => ({ root: state.root, peers: [...peers] }))
        .sort((a, b) => b.peers.length - a.peers.length),
    }))
    .sort((a, b) => b.round - a.round)
}
