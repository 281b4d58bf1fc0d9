/**
 * PyTorch as a subject of the step benchmark: a Python process that answers each line on its input with one of JSON.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { answerMsMax } from '../child.ts'
import type { Opened, Turn } from './calls.ts'
import { type CaseName, cases } from './cases.ts'
import { settlingSteps } from './subject.ts'

/** Beside the sources: the benchmark itself is a bundle in dist/. */
const script = fileURLToPath(new URL('../bench/step/torch-subject.py', import.meta.url))

/** The end of what Python wrote to its error stream: the last line says what went wrong. */
const complaintCharacters = 2000

export class Torch {
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #lines: AsyncIterator<string>
  /** When the process has ended and all that it wrote is read; also when it could not be started. */
  readonly #closed: Promise<void>
  #complaint = ''
  #spawnFailure: Error | undefined

  constructor(model: CaseName, threads: number) {
    const args = [script, model, `${cases[model].batch}`, `${threads}`, `${settlingSteps}`]
    this.#process = spawn('python3', args, { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#closed = new Promise((resolve) => this.#process.once('close', () => resolve()))
    this.#process.on('error', (error) => {
      this.#spawnFailure = error
    })
    this.#process.stdin.on('error', () => undefined) // a process that is gone is told of by the answer it owes
    this.#process.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint = (this.#complaint + text).slice(-complaintCharacters)
    })
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]()
  }

  async open(): Promise<Opened> {
    const { absent, memory_mb } = (await this.#answer()) as { absent?: string; memory_mb?: number }
    if (absent !== undefined) return { absent, works: [] }
    return { works: ['step'], memoryMb: memory_mb }
  }

  /** The least time of the turn's steps, in ms. */
  async run({ repeatsMax, ms }: Turn): Promise<number> {
    this.#process.stdin.write(`${JSON.stringify({ repeats_max: repeatsMax, ms })}\n`)
    return ((await this.#answer()) as { ms: number }).ms
  }

  async close(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.#closed
  }

  async #answer(): Promise<unknown> {
    const settled = new AbortController()
    const tooLate = delay(answerMsMax, undefined, { signal: settled.signal }).then(() => {
      throw new Error(`python3 said nothing for ${answerMsMax / 1000} s`)
    })
    try {
      const { done, value } = await Promise.race([this.#lines.next(), tooLate])
      if (done === true) throw new Error(await this.#reason())
      return JSON.parse(value)
    } finally {
      tooLate.catch(() => undefined) // that nobody waits for it any more is no failure
      settled.abort()
    }
  }

  async #reason(): Promise<string> {
    await this.#closed
    if (this.#spawnFailure !== undefined) return `python3 does not start: ${this.#spawnFailure.message}`
    const last = this.#complaint.trim().split('\n').at(-1)
    return `python3 ended: ${last === undefined || last === '' ? 'without a word' : last}`
  }
}
