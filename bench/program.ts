/** A command of the command line as a process of a measurement, whose JSON lines tell when a moment has come. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A moment that has not come by then will not. */
const waitMsMax = 60_000

const cli = fileURLToPath(new URL('./cli.js', import.meta.url))

/** The fields that measurements read. */
export interface LogLine {
  event: string
  phase?: string
  addresses?: string[]
  link?: string
}

/** One command of the command line as a process, and the moments at which its lines came. */
export class Program {
  readonly #process: ChildProcess
  readonly #lines: { line: LogLine; ms: number }[] = []
  readonly #said: string[] = []
  #look = () => {}

  /** Starts it; its files are under `home`. */
  constructor(args: readonly string[], home: string) {
    const startedMs = performance.now()
    this.#process = spawn(process.execPath, [cli, ...args], {
      env: { ...process.env, STARLING_HOME: home },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    createInterface({ input: this.#process.stdout! }).on('line', (text) => {
      this.#said.push(text)
      if (text.startsWith('{'))
        this.#lines.push({ line: JSON.parse(text) as LogLine, ms: performance.now() - startedMs })
      this.#look()
    })
    createInterface({ input: this.#process.stderr! }).on('line', (text) => this.#said.push(text))
  }

  /** The first line for which `isIt` holds, and the milliseconds from the spawn to its coming. */
  async line(isIt: (line: LogLine) => boolean): Promise<{ line: LogLine; ms: number }> {
    return new Promise((resolve, reject) => {
      const fail = () => reject(new Error(`a process did not come so far; it said: ${this.#said.join('\n')}`))
      const timer = setTimeout(fail, waitMsMax)
      const before = this.#look
      this.#look = () => {
        before()
        const found = this.#lines.find(({ line }) => isIt(line))
        if (found === undefined) return
        clearTimeout(timer)
        resolve(found)
      }
      this.#process.once('exit', fail)
      this.#look()
    })
  }

  /** Ends the process; what it started ends with it. */
  async close(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    this.#process.kill('SIGKILL')
    await once(this.#process, 'exit')
  }
}
