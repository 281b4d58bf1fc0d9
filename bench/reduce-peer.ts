/** One peer of the averaging measurement: a whole swarm node that averages one random vector, round after round. */

import { createHash } from 'node:crypto'
import { multiaddr } from '@multiformats/multiaddr'
import { openSwarmNode, passingHome, type SwarmNode } from '../node/network/swarm-node.ts'
import type { AllreduceRun } from '../protocols/allreduce/index.ts'
import { defaultTiming, type Timing } from '../protocols/allreduce/round/events.ts'
import { rowPeersMax } from '../protocols/core/limits.ts'
import { type Random, seededRandom } from '../protocols/core/random.ts'
import type { CodecName } from '../protocols/wire/codecs/index.ts'
import { answer, sharedNowMs } from './child.ts'

export interface ReducePeerCalls {
  open: {
    asks: { index: number; peers: number; parameters: number; codec: CodecName }
    answers: { peer: string; addresses: string[] }
  }
  link: { asks: { peer: string; addresses: string[] }[]; answers: undefined }
  /** A fresh update, before anybody's clock runs. */
  fill: { asks: undefined; answers: undefined }
  round: { asks: { round: number; electorate: readonly string[]; waitMs: number }; answers: PeerRound }
  /** SHA-256 of the average: the same on every peer. Asked when all have theirs, as it takes the others' processor. */
  digest: { asks: undefined; answers: string }
}

/** What one peer saw of one round; times by the shared clock, in milliseconds. */
export interface PeerRound {
  startedMs: number
  /** The update is encoded and named to the others. */
  offeredMs: number
  /** The plan is known here. */
  plannedMs: number
  /** All parts are summed, the leader asks for votes. */
  sealingMs: number
  /** The average is in the caller's hands. */
  endedMs: number
  cpuMs: number
  /** Since the round before ended here: what a peer still sends others when it has the average belongs to the next. */
  uploadedBytes: number
  /** Most memory since the start, beyond what the idle peer used, in bytes. */
  peakBytes: number
  electorate: readonly string[]
  /** Updates that are in the average whole. */
  contributors: number
}

/**
 * A peer that gets no processor for a while is left out of an average, and such an average is not what is measured
 * here.
 */
const patientTiming: Timing = {
  ...defaultTiming,
  graceMsMin: 60_000,
  graceMsMax: 60_000,
  partMs: 60_000,
  reduceMs: 90_000,
  leaderMs: 120_000,
}

let node: SwarmNode
let run: AllreduceRun
let random: Random
/** What this peer gives, and then the average, as in a run. */
let update: Float32Array
let idleBytes = 0
let uploadedBytes = 0
let marks: Partial<Record<string, number>> = {}

answer<ReducePeerCalls>({
  open: async ({ index, peers, parameters, codec }) => {
    node = await openSwarmNode({
      ...(await passingHome()),
      listen: ['/ip4/127.0.0.1/tcp/0'],
      bootstrap: [],
      self: { role: 'node', backend: 'none', threads: 1, clientOnly: false },
    })
    run = await node.services.allreduce.open({
      job: 'bench',
      parameterCount: parameters,
      codec,
      peersMin: Math.min(peers, rowPeersMax), // founding is one row's
      timing: patientTiming,
      onEvent: (event) => {
        if (event.kind === 'phase') marks[event.phase] ??= sharedNowMs()
        if (event.kind === 'refused') throw new Error(`a message was refused: ${event.reason}`)
      },
    })
    random = seededRandom(index)
    idleBytes = process.memoryUsage.rss()
    update = new Float32Array(parameters)
    return { peer: node.self, addresses: node.addresses() }
  },

  link: async (others) => {
    for (const { peer, addresses } of others)
      if (peer > node.self) await node.libp2p.dial(addresses.map((address) => multiaddr(address)))
    run.setPeers(others.map(({ peer }) => peer))
    return undefined
  },

  fill: async () => {
    for (let i = 0; i < update.length; i++) update[i] = random.next() - 0.5
    return undefined
  },

  round: async ({ round, electorate, waitMs }) => {
    marks = {}
    const cpu = process.cpuUsage()
    const uploadedBefore = uploadedBytes
    const startedMs = sharedNowMs()
    const base = { round, root: `round-${round}`, electorate }
    const outcome = await run.average(
      { ...base, update, weight: 1, averageInto: update },
      { signal: AbortSignal.timeout(waitMs) },
    )
    const endedMs = sharedNowMs()
    const { user, system } = process.cpuUsage(cpu)
    uploadedBytes = run.traffic.uploadedBytes
    if (outcome.kind !== 'committed') throw new Error(`round ${round} ended ${outcome.kind}`)
    return {
      startedMs,
      offeredMs: marks.offered!,
      plannedMs: marks.reducing!,
      sealingMs: marks.sealing!,
      endedMs,
      cpuMs: (user + system) / 1000,
      uploadedBytes: uploadedBytes - uploadedBefore,
      peakBytes: process.resourceUsage().maxRSS * 1024 - idleBytes,
      electorate: outcome.electorate,
      contributors: outcome.contributors.length,
    }
  },

  digest: async () => createHash('sha256').update(update).digest('hex'),
})
