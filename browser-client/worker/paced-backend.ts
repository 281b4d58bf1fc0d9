/**
 * A backend that rests between its runs, so that a donor's machine stays usable: after each run it waits as long as the
 * asked share of time demands (governor/pacer.ts keeps the books), and while it may not run at all, until it may.
 *
 *     run ▓▓▓▓▓ rest ░░░░░ run ▓▓▓▓▓▓▓ rest ░░░░░░░        share 0.5
 *
 * What the worker does between the runs of a task (it brings samples in, it hands results out) is work too.
 */

import type { Backend, Executable } from '../../engine/backends/backend.ts'
import { afterWork, newPace, type Pace, restMs, withShare } from '../governor/pacer.ts'
import type { Allowance } from './messages.ts'

export interface PacerInit {
  /** Milliseconds. */
  now(): number
  /** Resolves `delayMs` later. */
  rest(delayMs: number): Promise<void>
}

/** Decides when the next run may begin. */
export class Pacer {
  readonly #init: PacerInit
  #allowance: Allowance
  #books: Pace
  #mayRun = Promise.withResolvers<void>()
  /** Within a task: until when its work is in the books. */
  #bookedMs: number | undefined

  constructor(allowance: Allowance, init: PacerInit) {
    this.#init = init
    this.#allowance = allowance
    this.#books = newPace(init.now())
    if (allowance.mayRun) this.#mayRun.resolve()
  }

  /** Counts from the next run on; a rest under way changes with it. */
  allow(allowance: Allowance): void {
    const previous = this.#allowance
    this.#allowance = allowance
    this.#books = withShare(this.#books, previous.dutyCycle, allowance.dutyCycle)
    if (allowance.mayRun) this.#mayRun.resolve()
    else if (previous.mayRun) this.#mayRun = Promise.withResolvers()
  }

  /** A task begins: from now on all that is no rest is work. */
  begin(): void {
    this.#bookedMs = this.#init.now()
  }

  /** The task is over: what follows is rest. */
  end(): void {
    this.#book()
    this.#bookedMs = undefined
  }

  /** Waits until a run may begin, runs it, and notes what it took. */
  async run<Result>(run: () => Promise<Result>): Promise<Result> {
    const isInTask = this.#bookedMs !== undefined
    this.#book()
    await this.#turn()
    this.#bookedMs = this.#init.now()
    try {
      return await run()
    } finally {
      this.#book()
      if (!isInTask) this.#bookedMs = undefined
    }
  }

  #book(): void {
    if (this.#bookedMs === undefined) return
    const nowMs = this.#init.now()
    this.#books = afterWork(this.#books, this.#bookedMs, nowMs, this.#allowance.dutyCycle)
    this.#bookedMs = nowMs
  }

  async #turn(): Promise<void> {
    while (true) {
      await this.#mayRun.promise
      const delayMs = restMs(this.#books, this.#init.now())
      if (delayMs === 0 && this.#allowance.mayRun) return
      await this.#init.rest(delayMs)
    }
  }
}

/**
 * `backend`, whose runs wait for `pacer`. Compiling does not wait: it is done once, and the first step is waited for.
 */
export function pacedBackend(backend: Backend, pacer: Pacer): Backend {
  return {
    name: backend.name,
    get threads() {
      return backend.threads
    },
    halfKernels: () => backend.halfKernels(),
    compile: async (model, options) => pacedExecutable(await backend.compile(model, options), pacer),
    newState: () => backend.newState(),
    inferTypes: (model) => backend.inferTypes(model),
    evaluateConstants: (model) => backend.evaluateConstants(model),
  }
}

function pacedExecutable(executable: Executable, pacer: Pacer): Executable {
  return {
    inputs: executable.inputs,
    state: executable.state,
    run: (feeds, options) => pacer.run(() => executable.run(feeds, options)),
    release: () => executable.release(),
  }
}
