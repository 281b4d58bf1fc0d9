/** PyTorch as a subject of the step benchmark: a Python process that reads a number of repeats and answers with a time. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { answerMsMax } from '../child.ts'
import type { Opened } from './calls.ts'
import { type CaseName, cases } from './cases.ts'

/** Beside the sources: the benchmark itself is a bundle in dist/. */
const script = fileURLToPath(new URL('../bench/step/torch-subject.py', import.meta.url))

export class Torch {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: Interface
  #memoryMb = 0

  constructor(model: CaseName, threads: number) {
    const args = [script, model, `${cases[model].batch}`, `${threads}`]
    this.#process = spawn('python3', args, { stdio: ['pipe', 'pipe', 'ignore'] })
    this.#lines = createInterface({ input: this.#process.stdout })
  }

  async open(): Promise<Opened> {
    try {
      const { absent } = (await this.#answer()) as { absent?: string }
      return absent === undefined ? { works: ['step'] } : { absent, works: [] }
    } catch {
      return { absent: 'there is no python3, or its torch cannot run', works: [] }
    }
  }

  /** The least time of `repeats` steps, in ms. */
  async run(repeats: number): Promise<number> {
    this.#process.stdin.write(`${repeats}\n`)
    const { ms, memory_mb } = (await this.#answer()) as { ms: number; memory_mb: number }
    this.#memoryMb = memory_mb
    return ms
  }

  async memory(): Promise<number> {
    return this.#memoryMb
  }

  async close(): Promise<void> {
    this.#process.kill('SIGKILL')
  }

  async #answer(): Promise<unknown> {
    const signal = AbortSignal.timeout(answerMsMax)
    const gone = once(this.#process, 'close', { signal }).then(() => {
      throw new Error('python3 ended')
    })
    const [line] = (await Promise.race([once(this.#lines, 'line', { signal }), gone])) as [string]
    return JSON.parse(line)
  }
}
