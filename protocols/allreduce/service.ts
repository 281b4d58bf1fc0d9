/** Allreduce as a libp2p service: opens runs, and says goodbye in all of them when the node stops. */

import type { Startable } from '@libp2p/interface'
import { type Clock, systemClock } from '../core/clock.ts'
import type { PeerComponents } from '../wire/components.ts'
import type { AllreduceRunInit } from './options.ts'
import { AllreduceRun } from './run.ts'

/** The libp2p service. */
export class Allreduce implements Startable {
  readonly #components: PeerComponents
  readonly #clock: Clock
  readonly #runs = new Set<AllreduceRun>()

  constructor(components: PeerComponents, { clock = systemClock }: { clock?: Clock } = {}) {
    this.#components = components
    this.#clock = clock
  }

  /** Takes part in the averaging of one run, until `leave`. */
  async open(init: AllreduceRunInit): Promise<AllreduceRun> {
    const run = new AllreduceRun(this.#components, this.#clock, init, () => this.#runs.delete(run))
    this.#runs.add(run)
    await run.start()
    return run
  }

  /** Called by libp2p. */
  start(): void {}

  /** Called by libp2p while connections still stand: leaves every run. */
  async beforeStop(): Promise<void> {
    await Promise.all([...this.#runs].map((run) => run.leave()))
  }

  /** Called by libp2p. */
  stop(): void {}
}
