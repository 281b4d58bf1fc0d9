/** What stands on a simulated network: one peer's protocol, and what it may do there. */

import type { Clock } from '../protocols/core/clock.ts'

/** One peer's protocol: what the network tells it. */
export interface Process<Message> {
  linkUp(peer: string): void
  linkDown(peer: string): void
  /** Nothing comes over the link, which is up; for protocols that listen for pulses. */
  linkSilent?(peer: string): void
  /** Something comes again. */
  linkHeard?(peer: string): void
  /** Between `linkUp` and `linkDown` of `from`, in the order sent. */
  receive(from: string, message: Message): void
  /** What it waits for, in words; undefined when it is content. */
  pending(): string | undefined
}

/** What a process may do. Its timers die with it. */
export interface Host<Message> {
  readonly id: string
  readonly clock: Clock
  /** Sends over the link to `to`; dropped when this end has no link. `bytes`: what it costs on the wire. */
  send(to: string, message: Message, bytes: number): void
  /** With whom to be linked from now on; before the first call, with everybody. A link needs both ends to want it. */
  setPeers(peers: readonly string[]): void
}
