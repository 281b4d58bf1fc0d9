/** What rounds of the real machines on home links came to, in the words of `rounds.ts`, which models them. */

import type { CommittedRound } from '../../protocols/allreduce/round/events.ts'
import { quantile } from '../../protocols/core/quantile.ts'
import { codecFor } from '../../protocols/wire/codecs/index.ts'
import { type MachineSetting, MachineSwarm, machineWorkload } from './machine-swarm.ts'

export interface MachineRounds {
  peers: number
  /** Rounds that everyone who lived to their end committed: all that were asked for. */
  rounds: number
  /** Peers that died meanwhile. */
  deaths: number
  /** Bytes that a peer sends in a round, the mean, in encoded updates: all messages, votes and plans too. */
  vectorsSent: number
  /** From the last update to a peer's commit, over all peers and rounds; milliseconds. */
  roundMs: { p50: number; p95: number }
  /** Share of the contributors' weight that is in the means: the least of all rounds. */
  committedWeight: number
  /** Links of one peer when it commits. */
  links: { mean: number; max: number }
}

/**
 * Runs `rounds` rounds.
 * @throws {Error} when a peer that lives does not end a round within an hour of its time; {SafetyViolation} when two
 * disagree.
 */
export function machineRounds(setting: MachineSetting, rounds: number): MachineRounds {
  const swarm = new MachineSwarm(setting)
  swarm.run(rounds)
  const { outcomes, endings, deaths, sentBytes } = swarm
  const times = endings.map(({ tookMs }) => tookMs)
  const links = endings.map((ending) => ending.links)
  const vectorBytes = codecFor(machineWorkload.codec).encodedBytes(machineWorkload.parameters)
  return {
    peers: setting.peers,
    rounds,
    deaths,
    vectorsSent: sentBytes / vectorBytes / endings.length,
    roundMs: { p50: quantile(times, 0.5), p95: quantile(times, 0.95) },
    committedWeight: Math.min(...outcomes.map(committedShare)),
    links: {
      mean: links.reduce((sum, count) => sum + count, 0) / links.length,
      max: links.reduce((most, count) => Math.max(most, count), 0),
    },
  }
}

/** Share of the planned weight that is in a round's means, the mean of its parts. */
function committedShare({ plan, parts }: CommittedRound): number {
  const planned = plan.contributors.reduce((sum, { weight }) => sum + weight, 0)
  return parts.reduce((sum, { weight }) => sum + weight, 0) / parts.length / planned
}
