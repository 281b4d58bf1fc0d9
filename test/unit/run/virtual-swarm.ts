/**
 * Run peers of any speed on a virtual clock, over an averaging that takes its time: for what happens while others
 * train, while parts travel, and when somebody dies. A step moves the one parameter a tenth of the way to 1.
 */

import type { Offer, RoundOutcome } from '../../../protocols/allreduce/index.ts'
import { type Clock, sleep } from '../../../protocols/core/clock.ts'
import type { Batch } from '../../../protocols/core/tensor.ts'
import { StateArchive } from '../../../protocols/run/archive.ts'
import { RunPeer } from '../../../protocols/run/peer.ts'
import type { RunPlan } from '../../../protocols/run/plan.ts'
import type { Averaging, Standing } from '../../../protocols/run/ports.ts'
import type { State } from '../../../protocols/run/state.ts'
import { VirtualClock } from '../../../simulator/clock.ts'

export type Committed = Extract<RoundOutcome, { kind: 'committed' }>

/** How a step changes the parameter. */
export const stepOf = (value: number): number => value - 0.1 * (value - 1)

/** How long a round waits for the slow once two thirds have given. */
const graceMs = 3_000

export class VirtualSwarm {
  readonly clock = new VirtualClock()
  readonly outcomes: Committed[] = []
  /** When the last peer came to the state after each round. */
  readonly heldMs: number[] = []
  /** When each round's first and last update was given. */
  readonly givenMs: { first: number; last: number }[] = []
  /** The codec of each update, by round and peer; undefined: the job's. */
  readonly codecs: Map<string, string | undefined>[] = []
  /** Peers that offered to sum parts, by round. */
  readonly reducers: Set<string>[] = []
  /** Peers whose bytes are scarce, which may change. */
  readonly savers = new Set<string>()
  /** Positions in the updates that count, by round. */
  readonly counted: number[][] = []
  readonly states = new Map<string, State[]>()
  /** Samples per second of each peer, which may change. */
  readonly speeds: Map<string, number>
  readonly #plan: RunPlan
  readonly #averagingMs: number
  readonly #standings = new Map<string, Standing>()
  readonly #given = new Map<string, { offer: Offer; positions: number[] }>()
  readonly #trained = new Map<string, number[]>()
  readonly #lives = new Map<string, AbortController>()
  readonly #peers = new Map<string, RunPeer>()
  #waiting: ((outcome: Committed) => void)[] = []
  #changed: (() => void)[] = []

  constructor(speeds: Record<string, number>, averagingMs: number, plan: Partial<RunPlan>) {
    this.speeds = new Map(Object.entries(speeds))
    this.#averagingMs = averagingMs
    this.#plan = {
      job: 'bafyjob',
      batch: 4,
      localSteps: 8,
      peersMin: this.speeds.size,
      roundsMax: 6,
      isSparse: false,
      isOverlapped: false,
      hasEvenLeases: false,
      localLearningRate: () => 0.1,
      outerLearningRate: () => 1,
      ...plan,
    }
  }

  get names(): string[] {
    return [...this.speeds.keys()]
  }

  /** Runs all peers to the end of the plan's rounds. */
  async run(): Promise<void> {
    const ended = this.names.map((self) => {
      const life = new AbortController()
      this.#lives.set(self, life)
      const peer = this.#peer(self)
      this.#peers.set(self, peer)
      return peer.run({ signal: life.signal }).catch((error: unknown) => {
        if (error !== 'over') throw error
      })
    })
    const isDone = () =>
      [...this.#peers].every(
        ([self, peer]) => this.#lives.get(self)!.signal.aborted || peer.state.round === this.#plan.roundsMax,
      )
    while (!isDone()) {
      await new Promise((resolve) => setImmediate(resolve))
      this.clock.runNext(Number.POSITIVE_INFINITY)
    }
    for (const life of this.#lives.values()) life.abort('over')
    await Promise.all(ended)
  }

  /** `self` is gone from now on. */
  kill(self: string): void {
    this.#lives.get(self)!.abort('over')
    this.#given.delete(self)
    this.#closeIfComplete()
  }

  get #live(): string[] {
    return this.names.filter((self) => !this.#lives.get(self)?.signal.aborted)
  }

  #peer(self: string): RunPeer {
    const { clock } = this
    const states: State[] = []
    this.states.set(self, states)
    return new RunPeer({
      self,
      plan: this.#plan,
      initial: Float32Array.of(0),
      trainer: {
        train: async ({ start, batches }, { signal }) => {
          const positions = batches.flatMap(({ labels }) => [...labels.data])
          await sleep(clock, (1000 * positions.length) / this.speeds.get(self)!, { signal })
          this.#trained.get(self)!.push(...positions)
          let value = start[0]!
          for (const _ of batches) value = stepOf(value)
          return { update: Float32Array.of(start[0]! - value), loss: 1, seconds: 0 }
        },
      },
      samples: {
        batch: (positions) => {
          if (!this.#trained.has(self)) this.#trained.set(self, [])
          return labelled(positions)
        },
      },
      outerOptimizer: {
        stateLength: () => 0,
        step: (parameters, _state, average, { learningRate }) => {
          parameters[0]! -= learningRate * average[0]!
        },
      },
      averaging: this.#averaging(self),
      gossip: {
        report: ({ round, root, weight }) => {
          this.#standings.set(self, { round, root, weight })
          const wake = this.#changed
          this.#changed = []
          for (const resolve of wake) resolve()
        },
        standings: () => new Map([...this.#standings].filter(([peer]) => peer !== self)),
        changed: ({ signal }) =>
          new Promise((resolve, reject) => {
            this.#changed.push(resolve)
            signal.addEventListener('abort', () => reject(signal.reason), { once: true })
          }),
      },
      blocks: { fetchBlocks: () => Promise.reject(new Error('nobody falls behind here')) },
      archive: new StateArchive(1),
      clock,
      savesData: () => this.savers.has(self),
      onEvent: (event) => {
        if (event.kind !== 'committed') return
        states.push(this.#peers.get(self)!.state)
        this.heldMs[event.round] = clock.now()
      },
    })
  }

  #averaging(self: string): Averaging {
    const outlook = () => ({ live: this.#live, committed: [...this.#given.keys()] })
    return {
      failed: new AbortController().signal,
      get outlook() {
        return outlook()
      },
      standings: new Map(),
      hold: () => {},
      average: (offer) => this.#give(self, offer),
      receive: () => Promise.reject(new Error('everybody gives here')),
      follow: () => () => {},
    }
  }

  #give(self: string, offer: Offer): Promise<RoundOutcome> {
    const known = this.outcomes[offer.round]
    if (known !== undefined) return Promise.resolve(known)
    // overlapped peers train for the next round meanwhile: the first `weight` positions are this one's
    const trained = this.#trained.get(self)!
    const positions = trained.splice(0, offer.weight)
    this.#given.set(self, { offer: { ...offer, update: offer.update.slice() }, positions })
    this.codecs[offer.round] = (this.codecs[offer.round] ?? new Map()).set(self, offer.codec)
    const reducers = this.reducers[offer.round] ?? new Set()
    this.reducers[offer.round] = offer.reducesNothing === true ? reducers : reducers.add(self)
    const nowMs = this.clock.now()
    const times = this.givenMs[offer.round] ?? { first: nowMs, last: nowMs }
    this.givenMs[offer.round] = { ...times, last: nowMs }
    const answer = new Promise<RoundOutcome>((resolve) => this.#waiting.push(resolve))
    this.#closeIfComplete()
    if (3 * this.#given.size >= 2 * this.#live.length)
      this.clock.setTimer(graceMs, () => this.#close(offer.round))
    return answer
  }

  #closeIfComplete(): void {
    if (this.#given.size > 0 && this.#live.every((peer) => this.#given.has(peer)))
      this.#close(this.outcomes.length)
  }

  #close(round: number): void {
    if (round !== this.outcomes.length || this.#given.size === 0) return
    const given = [...this.#given].sort(([a], [b]) => (a < b ? -1 : 1))
    const totalWeight = given.reduce((sum, [, { offer }]) => sum + offer.weight, 0)
    const mean = given.reduce(
      (sum, [, { offer }]) => sum + (offer.weight * offer.update[0]!) / totalWeight,
      0,
    )
    const outcome: Committed = {
      kind: 'committed',
      round,
      root: given[0]![1].offer.root,
      average: Float32Array.of(mean),
      electorate: this.#live,
      totalWeight,
      contributors: given.map(
        ([
          peer,
          {
            offer: { weight, pace },
          },
        ]) => ({ peer, weight, pace }),
      ),
      omitted: [],
    }
    this.outcomes.push(outcome)
    this.counted.push(given.flatMap(([, { positions }]) => positions))
    this.#given.clear()
    const waiting = this.#waiting
    this.#waiting = []
    this.clock.setTimer(this.#averagingMs, () => {
      for (const resolve of waiting) resolve(outcome)
    })
  }
}

/** Runs `callback` at `timeMs` of the clock. */
export function at(clock: Clock, timeMs: number, callback: () => void): void {
  clock.setTimer(timeMs - clock.now(), callback)
}

function labelled(positions: readonly number[]): Batch {
  const labels = { dtype: 'int32', shape: [positions.length], data: Int32Array.from(positions) } as const
  return { inputs: { x: labels }, labels }
}
