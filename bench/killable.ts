/**
 * A program of the swarm that is killed and started again, as on one person's computer: the same folder, so the same
 * key and blocks, in one process after another. Of a node it knows from the log in which phase of which round it is,
 * which is where a kill hits it.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** One JSON line of a node's log. */
export interface LogLine {
  event: string
  [field: string]: unknown
}

/**
 * Where a node is: on its way into the run, or at a step of its round. `receiving`: in a round to which it gives
 * nothing.
 */
export type NodePhase =
  | 'starting'
  | 'waiting'
  | 'syncing'
  | 'training'
  | 'receiving'
  | 'offered'
  | 'reducing'
  | 'sealing'
  | 'finished'

const cli = fileURLToPath(new URL('./cli.js', import.meta.url))

/** Lines that are shown when a process fails. */
const shownLines = 10

export class Killable {
  readonly name: string
  /** Processes that were started, this one included. */
  lives = 0
  /** How long those after the first took to their first step in a round. */
  readonly returnMs: number[] = []
  phase: NodePhase = 'starting'
  /** Round of {@link phase}; -1 before the first. */
  round = -1
  readonly #words: readonly string[]
  readonly #home: string
  readonly #log: WriteStream
  readonly #onLine: (line: LogLine) => void
  readonly #listeners = new Set<() => void>()
  #process: ChildProcess | undefined
  #said: string[] = []
  /** When the life that has made no step yet was started. */
  #startedMs: number | undefined

  /**
   * `words`: the command without `starling`; `onLine` is told all lines of all lives, which are kept in `<home>.log`.
   */
  constructor(name: string, words: readonly string[], home: string, onLine: (line: LogLine) => void) {
    this.name = name
    this.#words = words
    this.#home = home
    mkdirSync(dirname(home), { recursive: true })
    this.#log = createWriteStream(`${home}.log`)
    this.#onLine = onLine
  }

  /** Starts a life. `onFailed` hears when it ends by itself, or gives the job up. */
  start(onFailed: (error: Error) => void): void {
    this.lives++
    this.#enter('starting', -1)
    this.#said = []
    const startedMs = performance.now()
    this.#startedMs = startedMs
    const hear = (text: string) => {
      this.#said = [...this.#said.slice(1 - shownLines), text]
      this.#log.write(`${this.lives} ${Math.round(performance.now() - startedMs)} ${text}\n`)
    }
    const child = spawn(process.execPath, [cli, ...this.#words, '--json'], {
      env: { ...process.env, STARLING_HOME: this.#home },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    this.#process = child
    createInterface({ input: child.stdout! }).on('line', (text) => {
      hear(text)
      if (text.startsWith('{') && child === this.#process) this.#read(JSON.parse(text) as LogLine)
    })
    createInterface({ input: child.stderr! }).on('line', hear)
    child.once('exit', (code) => {
      if (this.#process !== child) return
      this.#process = undefined
      onFailed(new Error(`${this.name} ended with exit code ${code}: ${this.#said.join('\n')}`))
    })
  }

  /** Resolves at the first line from now on after which `isThere` holds, or when `signal` aborts. */
  reaches(isThere: () => boolean, { signal }: { signal: AbortSignal }): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!isThere() && !signal.aborted) return
        this.#listeners.delete(look)
        signal.removeEventListener('abort', look)
        resolve()
      }
      this.#listeners.add(look)
      signal.addEventListener('abort', look)
      look()
    })
  }

  /**
   * SIGKILL: no goodbye, nothing flushed. Resolves with the phase that it hit, once the process is gone.
   * @throws {Error} when something else ended the process.
   */
  async kill(): Promise<NodePhase> {
    const child = this.#process
    if (child === undefined) throw new Error(`${this.name} does not run`)
    const { phase } = this
    this.#process = undefined
    const gone = once(child, 'exit')
    const isHit = child.kill('SIGKILL')
    const [code, signal] = await gone
    if (!isHit || signal !== 'SIGKILL')
      throw new Error(`the kill missed ${this.name}, which ended with ${code ?? signal}`)
    return phase
  }

  /** Ends the process, if there is one. */
  async close(): Promise<void> {
    if (this.#process !== undefined) await this.kill()
    this.#log.end()
  }

  #read(line: LogLine): void {
    const { event, phase, round } = line
    if (event === 'phase') this.#enter(phase === 'averaging' ? 'receiving' : (phase as NodePhase), round)
    // a leader says that it gathers while it still trains
    if (event === 'averaging' && phase !== 'gathering') this.#enter(phase as NodePhase, round)
    this.#onLine(line)
  }

  #enter(phase: NodePhase, round: unknown): void {
    if (phase === 'training' && this.#startedMs !== undefined) {
      if (this.lives > 1) this.returnMs.push(performance.now() - this.#startedMs)
      this.#startedMs = undefined
    }
    this.phase = phase
    this.round = round as number
    for (const look of [...this.#listeners]) look()
  }
}
