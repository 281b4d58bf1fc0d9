/**
 * A swarm in one process, to learn what averaging does to a loss: real run peers with their leases, error feedback and outer
 * optimizer, real compute workers, and an averaging that codes, sums and decodes as allreduce does, part by part, but over
 * no network: every peer is there in every round, and nobody waits for bytes. What it counts as traffic is what the codecs made.
 */

import {
  encodeParts,
  partCount,
  partitionOf,
  partLength,
  partOf,
  subtractSent,
} from '../protocols/allreduce/parts.ts'
import { type ReductionInput, reducePart } from '../protocols/allreduce/reduction.ts'
import { systemClock } from '../protocols/core/clock.ts'
import { SwarmError } from '../protocols/core/errors.ts'
import { StateArchive } from '../protocols/run/archive.ts'
import { RunPeer } from '../protocols/run/peer.ts'
import type { RunPlan } from '../protocols/run/plan.ts'
import type {
  Averaging,
  Offer,
  OuterOptimizer,
  RoundBase,
  RoundOutcome,
  RunGossip,
  Samples,
  Standing,
  Trainer,
} from '../protocols/run/ports.ts'
import type { Codec } from '../protocols/wire/codecs/index.ts'

export interface SwarmInit {
  plan: RunPlan
  /** f32[parameterCount]. */
  initial: Float32Array
  /** One for each peer. */
  trainers: readonly Trainer[]
  samples: Samples
  outerOptimizer: OuterOptimizer
  codec: Codec
}

export interface SwarmResult {
  /** f32[parameterCount]: the parameters that all peers agree on after the last round. */
  parameters: Float32Array
  rounds: number
  /** Of one peer in one round, for each parameter: its update to the reducers, and its means to the others. */
  bytesUpPerParameter: number
}

/** Runs the rounds of `plan` to their end. */
export async function runSwarm(init: SwarmInit, { signal }: { signal: AbortSignal }): Promise<SwarmResult> {
  const room = new Room(init)
  const ended = new AbortController()
  const names = init.trainers.map((_, index) => `peer-${String(index).padStart(2, '0')}`)
  const peers = names.map((self, index) => room.peer(self, names, init.trainers[index]!))
  const running = peers.map((peer) => peer.run({ signal: AbortSignal.any([signal, ended.signal]) }))
  await Promise.race([room.finished(init.plan.roundsMax, names), Promise.all(running)])
  ended.abort()
  await Promise.allSettled(running)
  if (new Set(peers.map(({ root }) => root)).size !== 1) throw new Error('the peers hold different states')
  return {
    parameters: peers[0]!.state.parameters,
    rounds: init.plan.roundsMax,
    bytesUpPerParameter: room.bytesUpPerParameter,
  }
}

interface Given {
  offer: Offer
  parts: Uint8Array[]
  resolve(outcome: RoundOutcome): void
}

/** Where all peers meet. */
class Room {
  readonly #init: SwarmInit
  readonly #standings = new Map<string, Standing>()
  readonly #given = new Map<string, Given>()
  #wake: (() => void)[] = []
  #bytes = 0
  #contributions = 0

  constructor(init: SwarmInit) {
    this.#init = init
  }

  get bytesUpPerParameter(): number {
    return this.#bytes / Math.max(1, this.#contributions) / this.#init.initial.length
  }

  peer(self: string, names: readonly string[], trainer: Trainer): RunPeer {
    const { plan, initial, samples, outerOptimizer } = this.#init
    return new RunPeer({
      self,
      plan,
      initial,
      trainer,
      samples,
      outerOptimizer,
      averaging: this.#averaging(self, names),
      gossip: this.#gossip(self),
      blocks: {
        fetchBlocks: () => Promise.reject(new SwarmError('BLOCK_NOT_FOUND', 'nobody is ever behind')),
      },
      archive: new StateArchive(1),
      clock: systemClock,
    })
  }

  /** Resolves when all peers hold the state of `round`. */
  async finished(round: number, names: readonly string[]): Promise<void> {
    while (!names.every((name) => this.#standings.get(name)?.round === round))
      await new Promise<void>((resolve) => this.#wake.push(resolve))
  }

  #averaging(self: string, names: readonly string[]): Averaging {
    const { codec, initial } = this.#init
    const partition = partitionOf(initial.length)
    return {
      outlook: { live: names, committed: [] },
      hold: () => {},
      average: async (offer) => {
        const parts = encodeParts(offer.update, partition, codec)
        if (offer.residual !== undefined)
          subtractSent(offer.update, parts, { partition, codec }, offer.residual)
        return new Promise((resolve) => {
          this.#given.set(self, { offer, parts, resolve })
          if (this.#given.size === names.length) this.#close()
        })
      },
      receive: (base: RoundBase) =>
        Promise.reject(new SwarmError('LOSS_NOT_FINITE', `${self} gives nothing to round ${base.round}`)),
      follow: () => () => {},
    }
  }

  /** The round's mean, as its reducers make it, to everybody. */
  #close(): void {
    const { codec, initial } = this.#init
    const given = [...this.#given].sort(([a], [b]) => (a < b ? -1 : 1))
    this.#given.clear()
    const partition = partitionOf(initial.length)
    const average = new Float32Array(initial.length)
    let bytes = 0
    for (let part = 0; part < partCount(partition); part++) {
      const inputs = given.map(
        ([, { parts, offer }]): ReductionInput => ({ bytes: parts[part]!, weight: offer.weight }),
      )
      const reduction = reducePart(codec, partLength(partition, part), inputs)
      if (reduction.kind === 'invalid') throw new Error(`part ${part} cannot be reduced`)
      codec.decode(reduction.bytes, partOf(average, partition, part))
      // each copy goes to the reducer, and the mean from there to everybody: one place of N is the reducer's own
      bytes += (given.length - 1) * reduction.bytes.length
      bytes += inputs.reduce(
        (sum, input) => sum + (input.bytes.length * (given.length - 1)) / given.length,
        0,
      )
    }
    this.#bytes += bytes
    this.#contributions += given.length
    const [, { offer }] = given[0]!
    const contributors = given.map(
      ([
        peer,
        {
          offer: { weight, pace },
        },
      ]) => ({ peer, weight, pace }),
    )
    for (const [, { resolve }] of given)
      resolve({
        kind: 'committed',
        round: offer.round,
        root: offer.root,
        average,
        electorate: contributors.map(({ peer }) => peer),
        totalWeight: contributors.reduce((sum, { weight }) => sum + weight, 0),
        contributors,
        omitted: [],
      })
  }

  #gossip(self: string): RunGossip {
    return {
      report: ({ round, root, weight }) => {
        this.#standings.set(self, { round, root, weight })
        const wake = this.#wake
        this.#wake = []
        for (const resolve of wake) resolve()
      },
      standings: () => new Map([...this.#standings].filter(([peer]) => peer !== self)),
      changed: ({ signal }) =>
        new Promise((resolve, reject) => {
          this.#wake.push(resolve)
          signal.addEventListener('abort', () => reject(signal.reason), { once: true })
        }),
    }
  }
}
