/** Virtual time for code that also waits for real work, such as hashes: time goes on only while a test lets it. */

import { VirtualClock } from '../../../simulator/clock.ts'

export class VirtualTime {
  readonly clock = new VirtualClock()

  /** Lets time go on, a timer after the other, until `condition` holds. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.pass(100)
  }

  /** Lets `ms` pass, and what happens in them. */
  async pass(ms: number): Promise<void> {
    const endMs = this.clock.now() + ms
    do await settled()
    while (this.clock.runNext(endMs))
  }
}

/** Settles after all that is waiting for nothing but its turn. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
