/**
 * A swarm on this machine: a coordinator and some nodes, each a process of its own, on loopback. They are this
 * program's children and end with it, whatever ends it: each one stops when its channel to the parent closes.
 *
 *     <folder>/coordinator.log  peer-1.log …       what they said, kept
 *     <folder>/homes/…                             their keys and blocks, removed at the end
 *
 * One job is run in it. A node that ends or gives the job up is told, and the others go on; without the coordinator, or
 * without any node, the job cannot come to an end, and the swarm is broken.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { SwarmError } from '../../protocols/core/errors.ts'
import { isErrorCode } from './exit-codes.ts'

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
  /** A node ended or gave the job up, and others go on. */
  onLost(loss: SwarmError): void
}

export interface LocalSwarm {
  /** Multiaddrs of the coordinator. */
  coordinator: string[]
  /** `peer-1` … by peer id. */
  names: ReadonlyMap<string, string>
  /**
   * Aborts when the job cannot be brought to an end any more. The reason is a {@link SwarmError}: what the last process
   * failed at, PEER_GONE when it did not say.
   */
  broken: AbortSignal
  /** Ends every process. */
  close(): Promise<void>
}

/**
 * @throws {SwarmError} BACKEND_FAILED when a process does not start, with the end of what it said; STORAGE_FAILED when
 * the folder cannot be made.
 */
export async function startLocalSwarm(
  init: LocalSwarmInit,
  { signal }: { signal: AbortSignal },
): Promise<LocalSwarm> {
  await makeFolder(init.folder)
  const children: Child[] = []
  const close = async () => {
    await Promise.all(children.map((child) => child.stop()))
    await rm(join(init.folder, 'homes'), { recursive: true, force: true })
  }
  const broken = new AbortController()
  const lost = new Set<string>()
  const onLost = (name: string, loss: SwarmError) => {
    if (lost.has(name)) return
    lost.add(name)
    const isBroken = name === coordinatorName || lost.size === init.peers
    if (isBroken) broken.abort(loss)
    else init.onLost(loss)
  }
  try {
    const start = (name: string, args: string[]) => {
      const child = new Child(name, args, { ...init, onLost: (loss) => onLost(name, loss) })
      children.push(child)
      return child.ready(signal)
    }
    const listen = ['--listen', '/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws']
    const coordinator = await start(coordinatorName, ['coordinator', 'start', ...listen])
    const nodeArgs = ['node', 'start', ...listen, '--coordinator', ...coordinator.addresses]
    const options = ['--threads', String(init.threads), '--backend', init.backend]
    const peers = Array.from({ length: init.peers }, (_, index) => `peer-${index + 1}`)
    const ready = await Promise.all(peers.map((name) => start(name, [...nodeArgs, ...options])))
    const names = new Map(ready.map(({ peer }, index) => [peer, peers[index]!]))
    return { coordinator: coordinator.addresses, names, broken: broken.signal, close }
  } catch (error) {
    await close()
    throw error
  }
}

const coordinatorName = 'coordinator'

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true })
  } catch (cause) {
    throw new SwarmError('STORAGE_FAILED', `cannot make the folder ${folder}`, {
      cause,
      hint: 'Check its permissions, or choose another place with STARLING_HOME.',
    })
  }
}

/** What a process says of itself: where it is, and what it failed at. */
type Said =
  | { event: 'ready'; peer: string; addresses: string[] }
  | { event: 'failed'; code: string; message: string; hint?: string }

type Ready = Extract<Said, { event: 'ready' }>

interface ChildInit extends Pick<LocalSwarmInit, 'folder' | 'env'> {
  /** It ended though nobody asked it to, or it gave the job up. */
  onLost(loss: SwarmError): void
}

class Child {
  readonly #name: string
  readonly #logPath: string
  readonly #process: ChildProcess
  readonly #exited: Promise<void>
  readonly #ready: Promise<Ready>
  readonly #onLost: (loss: SwarmError) => void
  #lastLines: string[] = []
  #isStopping = false

  constructor(name: string, args: string[], { folder, env, onLost }: ChildInit) {
    this.#name = name
    this.#onLost = onLost
    this.#logPath = join(folder, `${name}.log`)
    this.#process = spawn(process.execPath, [cliPath, ...args, '--json'], {
      // a swarm on loopback needs no key, whatever swarm this person is invited to
      env: { ...env, STARLING_HOME: join(folder, 'homes', name), STARLING_SWARM_KEY: undefined },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    this.#exited = new Promise((resolve) => {
      this.#process.once('exit', () => resolve())
      this.#process.once('error', (error) => {
        this.#lastLines.push(error.message)
        resolve()
      })
    })
    this.#ready = this.#readyLine()
    this.#ready.then(
      () => void this.#exited.then(() => this.#tellLost('ended')),
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
    // a log that cannot be written is no reason to end the run: what is lost is told here
    log.on('error', () => {})
    return new Promise((resolve, reject) => {
      const read = (line: string) => {
        log.write(`${line}\n`)
        this.#lastLines = [...this.#lastLines.slice(-4), line]
        const said = asSaid(line)
        if (said?.event === 'ready') resolve(said)
        else if (said?.event === 'failed') this.#tellLost(`gave the job up: ${said.message}`, said)
      }
      createInterface({ input: this.#process.stdout! }).on('line', read)
      createInterface({ input: this.#process.stderr! }).on('line', read)
      void this.#exited.then(() => {
        log.end()
        reject(this.#failure('ended before it was ready'))
      })
    })
  }

  #tellLost(what: string, { code, hint }: { code?: string; hint?: string } = {}): void {
    if (this.#isStopping) return
    this.#onLost(
      new SwarmError(isErrorCode(code) ? code : 'PEER_GONE', `the ${this.#name} process ${what}`, {
        hint: hint ?? `See ${this.#logPath}.`,
      }),
    )
  }

  #failure(what: string): SwarmError {
    const error = this.#lastLines.map(asError).find((found) => found !== undefined)
    const said = error?.message ?? this.#lastLines.join(' ')
    return new SwarmError(
      'BACKEND_FAILED',
      `the ${this.#name} process ${what}${said === '' ? '' : `: ${said}`}`,
      { hint: error?.hint ?? `See ${this.#logPath}, and run \`starling doctor\`.` },
    )
  }
}

/** The command line's bundle: beside this code when that is bundled too, in dist/ when it runs from its sources. */
const cliPath = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../dist/cli.js' : './cli.js', import.meta.url),
)

function asSaid(line: string): Said | undefined {
  const said = asObject(line) as Partial<Said> | undefined
  return said?.event === 'ready' || said?.event === 'failed' ? (said as Said) : undefined
}

/** The last word of a command that failed. */
function asError(line: string): { message: string; hint?: string } | undefined {
  return (asObject(line) as { error?: { message: string; hint?: string } } | undefined)?.error
}

/** Warnings of Node and of native libraries stand between the JSON lines. */
function asObject(line: string): object | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    return JSON.parse(line) as object
  } catch {
    return undefined
  }
}
