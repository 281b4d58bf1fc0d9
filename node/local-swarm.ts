/**
 * A swarm on this machine: a coordinator and some nodes, each a process of its own, on loopback. They are this program's
 * children and end with it, whatever ends it: each one stops when its channel to the parent closes.
 *
 *     <folder>/coordinator.log  peer-1.log …       what they said, kept
 *     <folder>/homes/…                             their keys and blocks, removed at the end
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { SwarmError } from '../protocols/core/errors.ts'

/** Starting a process takes a second on a busy machine; past this it hangs. */
const startMsMax = 30_000

/** A process that has not said goodbye by then is ended by force. */
const stopMsMax = 3_000

export interface LocalSwarmInit {
  /** For logs and homes; made when missing. */
  folder: string
  /** Nodes to start, >= 1. */
  peers: number
  /** Threads that each node trains with, >= 1. */
  threads: number
  /** Backend of the nodes. */
  backend: 'auto' | 'native' | 'wasm'
  env: Readonly<Record<string, string | undefined>>
  /** A process ended that nobody asked to end. */
  onLost(name: string, logPath: string): void
}

export interface LocalSwarm {
  /** Multiaddrs of the coordinator. */
  coordinator: string[]
  /** `peer 1` … by peer id. */
  names: ReadonlyMap<string, string>
  /** Ends every process. */
  close(): Promise<void>
}

/** @throws {SwarmError} BACKEND_FAILED when a process does not start, with the end of what it said. */
export async function startLocalSwarm(
  init: LocalSwarmInit,
  { signal }: { signal: AbortSignal },
): Promise<LocalSwarm> {
  await mkdir(init.folder, { recursive: true })
  const children: Child[] = []
  const close = async () => {
    await Promise.all(children.map((child) => child.stop()))
    await rm(join(init.folder, 'homes'), { recursive: true, force: true })
  }
  try {
    const start = (name: string, args: string[]) => {
      const child = new Child(name, args, init)
      children.push(child)
      return child.ready(signal)
    }
    const listen = ['--listen', '/ip4/127.0.0.1/tcp/0']
    const coordinator = await start('coordinator', [
      'coordinator',
      'start',
      ...listen,
      '/ip4/127.0.0.1/tcp/0/ws',
    ])
    const nodeArgs = ['node', 'start', ...listen, '--coordinator', ...coordinator.addresses]
    const options = ['--threads', String(init.threads), '--backend', init.backend]
    const peers = Array.from({ length: init.peers }, (_, index) => `peer-${index + 1}`)
    const ready = await Promise.all(peers.map((name) => start(name, [...nodeArgs, ...options])))
    const names = new Map(ready.map(({ peer }, index) => [peer, peers[index]!]))
    return { coordinator: coordinator.addresses, names, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** What a process says first. */
interface Ready {
  peer: string
  addresses: string[]
}

class Child {
  readonly #name: string
  readonly #logPath: string
  readonly #process: ChildProcess
  readonly #exited: Promise<void>
  readonly #ready: Promise<Ready>
  #lastLines: string[] = []
  #isStopping = false

  constructor(name: string, args: string[], { folder, env, onLost }: LocalSwarmInit) {
    this.#name = name
    this.#logPath = join(folder, `${name}.log`)
    this.#process = spawn(process.execPath, [cliPath, ...args, '--json'], {
      env: { ...env, STARLING_HOME: join(folder, 'homes', name) },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    this.#exited = new Promise((resolve) => this.#process.once('exit', () => resolve()))
    this.#ready = this.#readyLine()
    this.#ready.then(
      () => void this.#exited.then(() => !this.#isStopping && onLost(name, this.#logPath)),
      () => {},
    )
  }

  /** @throws {SwarmError} BACKEND_FAILED when the process ends or hangs before it is ready. */
  async ready(signal: AbortSignal): Promise<Ready> {
    const deadline = AbortSignal.timeout(startMsMax)
    const either = AbortSignal.any([signal, deadline])
    return new Promise((resolve, reject) => {
      const onAbort = () =>
        reject(signal.aborted ? signal.reason : this.#failure(`is not ready after ${startMsMax / 1000} s`))
      if (either.aborted) onAbort()
      either.addEventListener('abort', onAbort, { once: true })
      this.#ready.then(resolve, reject)
    })
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    this.#process.kill('SIGTERM')
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), stopMsMax)
    await this.#exited
    clearTimeout(timer)
  }

  #readyLine(): Promise<Ready> {
    const log = createWriteStream(this.#logPath)
    return new Promise((resolve, reject) => {
      const read = (line: string) => {
        log.write(`${line}\n`)
        this.#lastLines = [...this.#lastLines.slice(-4), line]
        const ready = asReady(line)
        if (ready !== undefined) resolve(ready)
      }
      createInterface({ input: this.#process.stdout! }).on('line', read)
      createInterface({ input: this.#process.stderr! }).on('line', read)
      void this.#exited.then(() => {
        log.end()
        reject(this.#failure('ended before it was ready'))
      })
    })
  }

  #failure(what: string): SwarmError {
    const said = this.#lastLines.length === 0 ? '' : `; it said: ${this.#lastLines.join(' ')}`
    return new SwarmError('BACKEND_FAILED', `the process "${this.#name}" ${what}${said}`, {
      hint: `See ${this.#logPath}, and run \`starling doctor\`.`,
    })
  }
}

/** The command line's bundle: beside this code when that is bundled too, in dist/ when it runs from its sources. */
const cliPath = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../dist/cli.js' : './cli.js', import.meta.url),
)

function asReady(line: string): Ready | undefined {
  if (!line.startsWith('{')) return undefined
  const { event, peer, addresses } = JSON.parse(line) as { event: string } & Ready
  return event === 'ready' ? { peer, addresses } : undefined
}
