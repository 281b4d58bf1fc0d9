/**
 * The command `starling` as a process of its own, whose JSON lines a test reads.
 *
 * A program gets a home of its own under the test's folder (the same name again is the same home: a restart) and a
 * process group of its own, so that a test can see whether anything outlived it. Whatever becomes of the test, the
 * group is killed and the folder removed at its end; if the test runner itself dies, the closing channel ends the
 * program.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'
import type { Host } from './network.ts'

/** The folder of the checkout. */
export const root = join(import.meta.dirname, '../../..')

/**
 * A wait that takes longer than this has hung: everything awaited here takes seconds, on a machine that is busy too.
 */
const waitMsMax = 90_000

/** Lines shown when a wait fails. */
const shownLines = 15

/** One JSON line of stdout. */
export interface Line {
  event: string
  [field: string]: unknown
}

/** How a process ended: exactly one of the two is not null. */
export interface Ended {
  exitCode: number | null
  signal: NodeJS.Signals | null
}

/** A folder that is removed when the test ends. */
export async function testFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'starling-test-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}

export class Program {
  readonly name: string
  /** What it said so far, oldest first. */
  readonly lines: Line[] = []
  /** Settles when the process is gone and its last line has been read. */
  readonly ended: Promise<Ended>
  readonly #process: ChildProcess
  readonly #listeners = new Set<() => void>()
  #stderr = ''

  /** Starts `starling ...words --json` in `folder`, and on `host` where the test has a network of its own. */
  constructor(folder: string, name: string, words: readonly string[], host?: Host) {
    this.name = name
    const { STARLING_COORDINATOR: _, STARLING_SWARM_KEY: __, ...env } = process.env
    const [command, ...rest] = [
      ...(host?.inside ?? []),
      process.execPath,
      join(root, 'dist/cli.js'),
      ...words,
      '--json',
    ]
    this.#process = spawn(command!, rest, {
      cwd: folder,
      env: { ...env, STARLING_HOME: join(folder, name) },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true,
    })
    createInterface({ input: this.#process.stdout! }).on('line', (line) => {
      this.lines.push(JSON.parse(line) as Line)
      this.#tell()
    })
    this.#process.stderr!.on('data', (chunk) => {
      this.#stderr += chunk
    })
    this.ended = once(this.#process, 'close').then(([exitCode, signal]) => ({ exitCode, signal }))
    void this.ended.then(() => this.#tell())
    onTestFinished(() => this.#destroy())
  }

  /** Process id, and id of the process group. */
  get pid(): number {
    return this.#process.pid!
  }

  /** True while any process of its group lives: itself or what it started. */
  get isGroupAlive(): boolean {
    try {
      process.kill(-this.pid, 0)
    } catch {
      return false
    }
    return process.platform !== 'linux' || hasRunning(this.pid)
  }

  /** Sends `signal` to the process, or to its whole group as a terminal does. */
  kill(signal: NodeJS.Signals, { group = false }: { group?: boolean } = {}): void {
    process.kill(group ? -this.pid : this.pid, signal)
  }

  /** Stops reading what it says, as `head -1` does after a line. */
  stopReading(): void {
    this.#process.stdout!.destroy()
  }

  /** The lines named `event`, oldest first. */
  all(event: string): Line[] {
    return this.lines.filter((line) => line.event === event)
  }

  /**
   * The first line that `isWanted`, said already or to come; only those from number `from` on are looked at.
   * @throws {Error} when the process ends without it, or it takes too long; with what the process said last.
   */
  line(what: string, isWanted: (line: Line) => boolean, { from = 0 } = {}): Promise<Line> {
    return new Promise((resolve, reject) => {
      let next = from
      const settle = (done: () => void) => {
        clearTimeout(timer)
        this.#listeners.delete(look)
        done()
      }
      const look = () => {
        for (; next < this.lines.length; next++) {
          const line = this.lines[next]!
          if (isWanted(line)) return settle(() => resolve(line))
        }
        if (this.#hasEnded) settle(() => reject(this.#failure(`ended before it said ${what}`)))
      }
      const timer = setTimeout(
        () => settle(() => reject(this.#failure(`did not say ${what} in ${waitMsMax / 1000} s`))),
        waitMsMax,
      )
      this.#listeners.add(look)
      look()
    })
  }

  /** The first line named `event`, see {@link line}. */
  said(event: string): Promise<Line> {
    return this.line(`"${event}"`, (line) => line.event === event)
  }

  /** The line that tells that this node committed `round`. */
  committed(round: number): Promise<Line> {
    return this.line(`round ${round}`, (line) => line.event === 'committed' && line.round === round)
  }

  get #hasEnded(): boolean {
    const { exitCode, signalCode, stdout } = this.#process
    return (exitCode !== null || signalCode !== null) && stdout!.readableEnded
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener()
  }

  #failure(what: string): Error {
    const last = this.lines.slice(-shownLines).map((line) => JSON.stringify(line))
    return new Error(`${this.name} ${what}. It said last:\n${[...last, this.#stderr].join('\n')}`)
  }

  async #destroy(): Promise<void> {
    if (this.isGroupAlive) this.kill('SIGKILL', { group: true })
    await this.ended
  }
}

/**
 * Linux: whether a process of group `id` runs. A signal also finds the dead that nobody has waited for, and where the
 * first process of a container waits for nobody, orphans stay so for good.
 */
function hasRunning(id: number): boolean {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.some((pid) => {
    try {
      // pid (name) state parent group ...; the name may hold anything
      const [state, , group] = readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ')
      return Number(group) === id && state !== 'Z'
    } catch {
      return false // gone meanwhile
    }
  })
}
