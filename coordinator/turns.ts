/**
 * One thing after the other, unless it takes long: making a job ready fills a processor and the memory, so two at once
 * help nobody; but one that waits for blocks that no peer has must not keep the rest waiting.
 */

import type { Clock } from '../protocols/core/clock.ts'

/** A work that is not done after this long gives way, and goes on beside the next. Models compile in a few seconds. */
const turnMsMax = 10_000

export class Turns {
  readonly #clock: Clock
  #last: Promise<void> = Promise.resolve()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Does `work` when those before it are done or have had their time. @throws {unknown} what `work` throws. */
  async take<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#last
    let pass = () => {}
    this.#last = new Promise((resolve) => {
      pass = resolve
    })
    await before
    const stopTimer = this.#clock.setTimer(turnMsMax, pass)
    try {
      return await work()
    } finally {
      stopTimer()
      pass()
    }
  }
}
