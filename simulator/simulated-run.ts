/**
 * A simulated run as its peers share it: sizes, codec and timing, the wire, the checker, what tests may listen to, and
 * the bugs that they may plant.
 */

import type { RoundBase } from '../protocols/allreduce/plan/base.ts'
import type { Partition } from '../protocols/allreduce/plan/parts.ts'
import type { Reach } from '../protocols/allreduce/plan/plan.ts'
import type { CommittedRound, Timing } from '../protocols/allreduce/round/events.ts'
import type { finishPart, sumRow } from '../protocols/allreduce/round/reduction.ts'
import type { Message } from '../protocols/allreduce/round/vocabulary.ts'
import type { Random } from '../protocols/core/random.ts'
import type { Codec } from '../protocols/wire/codecs/codec.ts'
import type { AllreduceChecker, GivenUpdate } from './allreduce-checker.ts'
import type { SharedWire } from './shared-wire.ts'

/** What all peers of a simulated run share. */
export interface SimulatedRun {
  seed: number
  partition: Partition
  codec: Codec
  peersMin: number
  timing?: Partial<Timing>
  wire: SharedWire
  /** How long peer `id` trains in a round, drawn with `random`. */
  trainingMs(id: string, random: Random): number
  checker: AllreduceChecker
  /** By the root that names it: the peers of each state that anybody came to. */
  electorates: Map<string, readonly string[]>
  onGiven?(update: GivenUpdate): void
  /** Called for each peer that commits. */
  onCommitted?(outcome: CommittedRound, peer: string): void
  /** States that `id` can fetch now: those of live peers that it has a link to. */
  states(id: string): { peer: string; base: RoundBase }[]
  /** What the sketches stand for. Default: themselves. */
  model?: Model | undefined
  /** False: nobody is told of silent links. Default true. */
  hearsSilence?: boolean | undefined
  /** Called for each end of a link that finds it silent. */
  onSilent?(): void
  /** How long a write to disk takes at most. Default 20 ms. */
  diskMsMax?: number | undefined
  /** Planted bugs: how the tests prove that the checkers see. */
  answersBeforeWriting?: boolean | undefined
  believesRelays?: boolean | undefined
  sum?: typeof sumRow
  finish?: typeof finishPart
  alterOutcome?: (id: string, outcome: CommittedRound) => CommittedRound
  /** What `id` says to `to` in place of `message`, one word after the other: liars. */
  alterSent?: ((id: string, to: string, message: Message) => Message | readonly Message[]) | undefined
}

/** A run of large vectors on given links, simulated with small vectors: what differs from what is computed. */
export interface Model {
  /** Bytes of the encoding of `elements` sketched values. */
  encodedBytes(elements: number): number
  /** What a message costs on the wire. `frame`: its encoding here. */
  frameBytes(message: Message, frame: Uint8Array): number
  /** What peer `id` has measured of its link. */
  reach(id: string): Reach
  /** The round with whose state the first peers start. */
  firstRound: number
}

/** What outlives a peer's process: the bytes of its newest pledge, and the newest state whose write was finished. */
export interface Disk {
  pledge: Uint8Array | undefined
  base: RoundBase | undefined
}
