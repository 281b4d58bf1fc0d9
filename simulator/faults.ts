/**
 * Faults that happen to a simulated network, and the proof that they did: every fault counts how often it fired, and a
 * test that asked for one must find its count above zero.
 */

import type { Random } from '../protocols/core/random.ts'
import type { Network, Verdict } from './network.ts'

/** How often each kind of fault fired. */
export class FaultLog {
  readonly #counts = new Map<string, number>()

  note(fault: string): void {
    this.#counts.set(fault, this.count(fault) + 1)
  }

  count(fault: string): number {
    return this.#counts.get(fault) ?? 0
  }

  /** All kinds that fired, with their counts. */
  entries(): [string, number][] {
    return [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1))
  }
}

/** What becomes of each message: a filter may break its link, repeat it, or let the next filter decide. */
export type MessageFault<Message> = (from: string, to: string, message: Message) => Verdict

/** Puts `faults` in the way of every message, in order; the first that does not let it pass decides. */
export function interceptWith<Message>(
  network: Network<Message>,
  faults: readonly MessageFault<Message>[],
): void {
  network.intercept = (from, to, message) => {
    for (const fault of faults) {
      const verdict = fault(from, to, message)
      if (verdict !== 'pass') return verdict
    }
    return 'pass'
  }
}

/** Loss on a reliable link: it breaks, and takes along what was under way. */
export function lossyLinks<Message>(
  random: Random,
  probability: number,
  log: FaultLog,
): MessageFault<Message> {
  return () => {
    if (random.next() >= probability) return 'pass'
    log.note('loss')
    return 'reset'
  }
}

/** A message arrives twice in a row, as after a reconnect whose sender could not know what had arrived. */
export function duplicates<Message>(
  random: Random,
  probability: number,
  log: FaultLog,
): MessageFault<Message> {
  return () => {
    if (random.next() >= probability) return 'pass'
    log.note('duplicate')
    return 'duplicate'
  }
}

/** Runs `act` at the `occurrence`-th message (from 1) that `matches`, as it is sent. Fires once. */
export function atMessage<Message>(
  name: string,
  occurrence: number,
  matches: (from: string, to: string, message: Message) => boolean,
  act: (from: string, to: string) => boolean,
  log: FaultLog,
): MessageFault<Message> {
  let left = occurrence
  return (from, to, message) => {
    if (left > 0 && matches(from, to, message) && --left === 0 && act(from, to)) log.note(name)
    return 'pass'
  }
}

/** Splits the live peers in two random groups for `durationMs`, then heals the network. */
export function partitionFor<Message>(
  network: Network<Message>,
  random: Random,
  durationMs: number,
  log: FaultLog,
): void {
  const live = shuffled(network.live(), random)
  if (live.length < 2) return
  const size = 1 + random.integer(live.length - 1)
  network.partition([live.slice(0, size), live.slice(size)])
  log.note('partition')
  network.clock.setTimer(durationMs, () => network.heal())
}

/** A copy of `items` in random order (Fisher and Yates). */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const copy = [...items]
  for (let index = copy.length - 1; index > 0; index--) {
    const other = random.integer(index + 1)
    ;[copy[index], copy[other]] = [copy[other]!, copy[index]!]
  }
  return copy
}
