/**
 * Time for simulations: a clock that jumps from one event to the next. Events of the same moment run in the order in
 * which they were scheduled, so a run depends on nothing but its seed.
 */

import { assert } from '../protocols/core/assert.ts'
import type { Clock } from '../protocols/core/clock.ts'

interface Entry {
  timeMs: number
  sequence: number
  callback: (() => void) | undefined
}

export class VirtualClock implements Clock {
  /** A binary heap: each entry is earlier than its two children. */
  readonly #heap: Entry[] = []
  #nowMs = 0
  #sequence = 0

  now(): number {
    return this.#nowMs
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    assert(delayMs >= 0, `a delay is not negative: ${delayMs}`)
    const entry: Entry = { timeMs: this.#nowMs + delayMs, sequence: this.#sequence++, callback }
    this.#push(entry)
    return () => {
      entry.callback = undefined
    }
  }

  /** Runs the next event; false when there is none before `untilMs`, and then it is `untilMs`. */
  runNext(untilMs: number): boolean {
    while (this.#heap.length > 0 && this.#heap[0]!.timeMs <= untilMs) {
      const { timeMs, callback } = this.#pop()
      if (callback === undefined) continue
      this.#nowMs = timeMs
      callback()
      return true
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs)
    return false
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    let index = heap.length
    heap.push(entry)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(entry, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = entry
  }

  #pop(): Entry {
    const heap = this.#heap
    const first = heap[0]!
    const last = heap.pop()!
    if (heap.length === 0) return first
    let index = 0
    while (2 * index + 1 < heap.length) {
      const left = 2 * index + 1
      const right = left + 1
      const child = right < heap.length && isBefore(heap[right]!, heap[left]!) ? right : left
      if (!isBefore(heap[child]!, last)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
    return first
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.timeMs < b.timeMs || (a.timeMs === b.timeMs && a.sequence < b.sequence)
}
