/**
 * A child process of a measurement, and the questions it is asked. Children are bundles beside this one in dist/; they
 * end with their parent, because their channel to it closes.
 */

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** A child that has not answered by then hangs; a residual network's first steps in WebAssembly take half a minute. */
export const answerMsMax = 120_000

/** What a child can be asked, by name. */
type CallsOf<Calls> = { [Name in keyof Calls]: { asks: unknown; answers: unknown } }

/** Asks a child one thing at a time; `Calls` names each question's argument and answer. */
export class Child<Calls extends CallsOf<Calls>> {
  readonly #process: ChildProcess

  /** Starts `dist/<name>.js`; `environment` comes on top of this process's own. */
  constructor(
    name: string,
    args: readonly string[] = [],
    environment: Readonly<Record<string, string>> = {},
  ) {
    this.#process = fork(fileURLToPath(new URL(`./${name}.js`, import.meta.url)), args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
      env: { ...process.env, ...environment },
    })
  }

  /** @throws {Error} with the child's own message when it fails; when it ends, or has said nothing for `waitMs`. */
  async ask<Name extends keyof Calls & string>(
    name: Name,
    asked: Calls[Name]['asks'],
    waitMs = answerMsMax,
  ): Promise<Calls[Name]['answers']> {
    const settled = new AbortController()
    const { signal } = settled
    const fail = (how: string): never => {
      throw new Error(`a child of the measurement ${how} when asked to ${name}`)
    }
    try {
      this.#process.send({ name, asked })
      return await Promise.race([
        once(this.#process, 'message', { signal }).then(([{ answered, failure }]) => {
          if (failure !== undefined) throw new Error(failure)
          return answered
        }),
        once(this.#process, 'exit', { signal }).then(([code]) => fail(`ended with exit code ${code}`)),
        delay(waitMs, undefined, { signal }).then(() => fail(`said nothing for ${waitMs / 1000} s`)),
      ])
    } finally {
      settled.abort()
    }
  }

  /** Ends the process. */
  async close(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    this.#process.kill('SIGKILL')
    await once(this.#process, 'exit')
  }
}

/** The child's side: answers each question by the function of its name; what that throws is the asker's to handle. */
export function answer<Calls extends CallsOf<Calls>>(
  handlers: {
    [Name in keyof Calls]: (asked: Calls[Name]['asks']) => Promise<Calls[Name]['answers']>
  },
): void {
  process.on('message', async ({ name, asked }: { name: keyof Calls; asked: never }) => {
    try {
      process.send!({ answered: await handlers[name](asked) })
    } catch (error) {
      process.send!({ failure: error instanceof Error ? error.message : String(error) })
    }
  })
  process.on('disconnect', () => process.exit())
}

/** Milliseconds of a clock that all processes of one machine share. */
export function sharedNowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
