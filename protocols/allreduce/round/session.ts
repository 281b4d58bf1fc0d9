/** What the roles of a round may see of the peer around them, and do. The machine is the one implementation. */

import type { Effect, MachineInit } from './events.ts'
import type { Mandate } from './mandates.ts'
import type { Round } from './round.ts'
import type { Message, Word } from './vocabulary.ts'

export interface Session {
  readonly self: string
  readonly init: MachineInit
  /** The time of the event that is being handled. */
  readonly nowMs: number
  /** The link to `peer` is up and not silent, and it did not leave; this peer itself always is. */
  isLive(peer: string): boolean
  /** `peer` is live, or it is silent and what it sent may still be on its way. */
  isLinked(peer: string): boolean
  /** How long nothing has come from `peer`, once it is silent: 0 while it is live, Infinity when it is not linked. */
  quietMs(peer: string): number
  /**
   * A link to `peer` was asked for a moment ago and was not up yet: it may be on its way, which a broken one is not.
   */
  isExpected(peer: string): boolean
  /** Live peers without this one, sorted. */
  livePeers(): readonly string[]
  /** Live peers and silent ones, without this one, sorted: all that are told what others are told. */
  linkedPeers(): readonly string[]
  /** `peer` said that it has no state and wants results. */
  isFollowing(peer: string): boolean
  /** `peer` said that it holds a state before that of `round`, and nothing since. */
  isBefore(peer: string, round: number): boolean
  /** `peer` goes after this round. */
  isLeaving(peer: string): boolean
  /** Whoever votes for `member` in `round`: itself, or since it left its deputy. */
  speakerOf(member: string, round: number): string
  /** Members that left, and whose votes in `round` are this peer's. */
  mandatesIn(round: Round): readonly [string, Mandate][]
  /** `word` of this peer, signed where there are several rows: others pass it on. */
  signed<W extends Word>(round: Round, word: W): W
  /** `speaker` signed `word`. */
  isGenuine(speaker: string, word: Word): boolean
  /** Notes durably what this peer is bound to in `round`, before anything that is sent from now on goes out. */
  pledge(round: Round): void
  /** To one peer; to this peer itself it is delivered within the same step. */
  send(to: string, message: Message): void
  /** To every linked peer and to this one. */
  broadcast(message: Message): void
  emit(effect: Effect): void
  /** Notes that a message of `peer` was dropped. */
  refuse(peer: string, reason: string): void
}

/** One duty of a peer in a round. Looks at the record and does what is due; doing it again changes nothing. */
export interface Role {
  /** Acts on what the record says now. */
  advance(): void
  /** When to look again although nothing arrived; Infinity: no need to. Later than now after `advance`. */
  dueMs(): number
}
