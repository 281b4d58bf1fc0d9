/**
 * A run of real processes on loopback, and what it came to: a coordinator, and nodes that a caller may kill. Every line
 * of every life of every node is read, so that two roots in one round do not go unseen.
 */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Killable, type LogLine } from './killable.ts'
import { keepScratch, removeScratch, scratchFolder } from './scratch-folder.ts'

/**
 * A run in which nobody commits for so long stands still: a lost quorum takes one minute of it, a busy machine the
 * rest.
 */
const stillMsMax = 300_000

const listen = ['--listen', '/ip4/127.0.0.1/tcp/0']

export interface ChurnSwarmInit {
  peers: number
  /** The job file's text; its paths are absolute. */
  job: string
  /** File that the job learns from. */
  data: string
}

/** What a round came to, the same for all that committed it. */
interface Round {
  /** Of the state that it made. */
  root: string
  /** Samples behind its mean. */
  weight: number
  /** Lives of nodes that committed it. */
  commits: number
}

/** Whoever waits for something that a line may bring. */
interface Waiter {
  isDue(): boolean
  resolve(): void
  reject(error: Error): void
}

export class ChurnSwarm {
  nodes: readonly Killable[] = []
  readonly rounds = new Map<number, Round>()
  /** Held-out loss of the states that the coordinator measured, by round. */
  readonly losses = new Map<number, number>()
  /** Times that a node missed its quorum. */
  quorumLosses = 0
  readonly #folder: string
  readonly #programs: Killable[] = []
  readonly #waiters = new Set<Waiter>()
  #failure: Error | undefined
  #hasVerdict = false
  #stillTimer: NodeJS.Timeout | undefined

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** Starts a coordinator and the nodes, and hands the job in; resolves when the first round is committed. */
  static async start(init: ChurnSwarmInit): Promise<ChurnSwarm> {
    const swarm = new ChurnSwarm(await scratchFolder('churn'))
    try {
      await swarm.#open(init)
      return swarm
    } catch (error) {
      await swarm.close()
      throw error
    }
  }

  /** Rounds that were committed by anyone. */
  get roundCount(): number {
    return this.rounds.size
  }

  /** Resolves when somebody has come to round `number`. @throws {Error} when the run fails or stands still. */
  async begun(number: number): Promise<void> {
    await this.#until(() => this.rounds.has(number - 1) || this.#hasVerdict)
  }

  /** Resolves when the coordinator has judged. */
  async judged(): Promise<void> {
    await this.#until(() => this.#hasVerdict)
  }

  /** Starts another life of a node. */
  restart(node: Killable): void {
    node.start((error) => this.#fail(error))
  }

  /** Ends all processes and removes their folders; of a run that failed they are kept, for their logs. */
  async close(): Promise<void> {
    clearTimeout(this.#stillTimer)
    const hasFailed = this.#failure !== undefined // by itself: not since its programs are ended here
    await Promise.all(this.#programs.map((program) => program.close()))
    if (hasFailed) keepScratch(this.#folder)
    else await removeScratch(this.#folder)
  }

  async #open({ peers, job, data }: ChurnSwarmInit): Promise<void> {
    this.#heard()
    let addresses: string[] = []
    const coordinator = this.#program('coordinator', ['coordinator', 'start', ...listen], (line) => {
      if (line.event === 'ready') addresses = line.addresses as string[]
      this.#readCoordinator(line)
    })
    this.restart(coordinator)
    await this.#until(() => addresses.length > 0)
    const known = ['--coordinator', ...addresses]
    const words = ['node', 'start', ...listen, '--threads', '1', '--backend', 'native', ...known]
    this.nodes = Array.from({ length: peers }, (_, index) => {
      const name = `node-${index + 1}`
      return this.#program(name, words, (line) => this.#readNode(name, line))
    })
    for (const node of this.nodes) this.restart(node)
    const path = join(this.#folder, 'job.yaml')
    await writeFile(path, job)
    await this.#submit(['launch', path, '--data', data, ...known, '--progress', 'json'])
    await this.begun(1)
  }

  /** The owner's command stays until the end, so that its blocks do. */
  async #submit(words: readonly string[]): Promise<void> {
    let hasStarted = false
    const owner = this.#program('owner', words, ({ event }) => {
      hasStarted ||= event === 'started'
      this.#heard()
    })
    owner.start((error) => {
      if (!this.#hasVerdict) this.#fail(error)
    })
    await this.#until(() => hasStarted)
  }

  #program(name: string, words: readonly string[], onLine: (line: LogLine) => void): Killable {
    const program = new Killable(name, words, join(this.#folder, name), onLine)
    this.#programs.push(program)
    return program
  }

  #readCoordinator(line: LogLine): void {
    if (line.event === 'evaluated') this.losses.set(line.round as number, line.loss as number)
    if (line.event === 'verdict') this.#hasVerdict = true
    if (line.event === 'fork') this.#fail(new Error(`a fork: ${JSON.stringify(line)}`))
    this.#heard()
  }

  #readNode(name: string, line: LogLine): void {
    if (line.event === 'quorum_lost') this.quorumLosses++
    if (line.event === 'failed') this.#fail(new Error(`${name} gave the job up: ${JSON.stringify(line)}`))
    if (line.event !== 'committed') return
    const {
      round: number,
      root,
      total_weight: weight,
    } = line as LogLine & {
      round: number
      root: string
      total_weight: number
    }
    const known = this.rounds.get(number) ?? { root, weight, commits: 0 }
    if (known.root !== root || known.weight !== weight)
      this.#fail(new Error(`${name} committed round ${number} as ${root}, others as ${known.root}`))
    this.rounds.set(number, { ...known, commits: known.commits + 1 })
    this.#heard()
  }

  /** Something moved. */
  #heard(): void {
    clearTimeout(this.#stillTimer)
    this.#stillTimer = setTimeout(() => {
      const where = this.nodes.map(({ name, phase, round }) => `${name} ${phase} in round ${round}`)
      this.#fail(new Error(`nobody committed anything for ${stillMsMax / 1000} s: ${where.join(', ')}`))
    }, stillMsMax)
    for (const waiter of [...this.#waiters]) if (waiter.isDue()) waiter.resolve()
  }

  #fail(cause: Error): void {
    this.#failure ??= new Error(`the run failed, and its logs are in ${this.#folder}`, { cause })
    for (const waiter of [...this.#waiters]) waiter.reject(this.#failure)
  }

  #until(isDue: () => boolean): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure)
      if (isDue()) return resolve()
      const waiter: Waiter = {
        isDue,
        resolve: () => {
          this.#waiters.delete(waiter)
          resolve()
        },
        reject,
      }
      this.#waiters.add(waiter)
    })
  }
}
