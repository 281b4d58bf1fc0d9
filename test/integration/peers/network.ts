/**
 * A network of a test's own: hosts on one switch, each with an address, that can be parted so that packets between the
 * two sides are lost in silence, as when a cable is pulled. On loopback a peer that goes is always heard to go.
 *
 *     host 0 ─────┐                 ┌───── host 3
 *     host 1 ─────┤ switch 0     1 ─┤                   joined again, all hang on switch 0
 *     host 2 ─────┘                 └───── host 4
 *
 * Hosts are network namespaces of Linux in a user namespace of their own, so that no privilege is needed where the
 * system lets people make those, and nothing outside is touched. Processes that wait for the end of their input hold
 * them: with this process all are gone.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { onTestFinished } from 'vitest'

const run = promisify(execFile)

/** A place in the network where programs can run. */
export interface Host {
  /** IPv4, on the network of all hosts. */
  address: string
  inside: Inside
}

/** The words before a command that run it in a namespace, without a process in between. */
type Inside = readonly string[]

export class TestNetwork {
  readonly hosts: readonly Host[]
  readonly #switches: Inside

  private constructor(switches: Inside, hosts: readonly Host[]) {
    this.#switches = switches
    this.hosts = hosts
  }

  /** True where this system has what it takes and lets this user do it. */
  static async isPossible(): Promise<boolean> {
    return run('unshare', ['--map-root-user', '--net', 'ip', 'link', 'add', 'switch', 'type', 'bridge']).then(
      () => true,
      () => false,
    )
  }

  /** A network of `count` hosts, which lasts until the test ends. */
  static async start(count: number): Promise<TestNetwork> {
    const { inside: switches } = await held(['unshare', '--map-root-user', '--net'])
    for (const name of switchNames) {
      await ip(switches, 'link', 'add', name, 'type', 'bridge')
      await ip(switches, 'link', 'set', name, 'up')
    }
    const hosts: Host[] = []
    for (let index = 0; index < count; index++) hosts.push(await plugIn(switches, index))
    return new TestNetwork(switches, hosts)
  }

  /** Loses all packets between `hosts` and the others, from now on and without a word to either side. */
  async part(hosts: readonly Host[]): Promise<void> {
    for (const [index, host] of this.hosts.entries()) {
      const name = switchNames[hosts.includes(host) ? 1 : 0]
      await ip(this.#switches, 'link', 'set', cableOf(index), 'master', name)
    }
  }

  /** All reach one another again. */
  async join(): Promise<void> {
    await this.part([])
  }
}

const switchNames = ['switch0', 'switch1'] as const

const cableOf = (index: number): string => `cable${index}`

async function plugIn(switches: Inside, index: number): Promise<Host> {
  const { pid, inside } = await held([...switches, 'unshare', '--net'])
  const address = `10.42.0.${index + 1}`
  const cable = cableOf(index)
  await ip(switches, 'link', 'add', cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', `${pid}`)
  await ip(switches, 'link', 'set', cable, 'master', switchNames[0], 'up')
  await ip(inside, 'addr', 'add', `${address}/24`, 'dev', 'eth0')
  for (const device of ['lo', 'eth0']) await ip(inside, 'link', 'set', device, 'up')
  return { address, inside }
}

/** Makes a namespace by `unshare`, whose words these are, and a process that holds it until the test ends. */
async function held(unshare: readonly string[]): Promise<{ pid: number; inside: Inside }> {
  const [command, ...words] = [...unshare, 'sh', '-c', 'echo; exec cat']
  const holder: ChildProcess = spawn(command!, words, { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(holder, 'close')
  onTestFinished(async () => {
    holder.kill('SIGKILL')
    await ended
  })
  await Promise.race([
    once(holder.stdout!, 'data'),
    ended.then(() => Promise.reject(new Error(`${unshare.join(' ')} ended`))),
  ])
  const pid = holder.pid!
  return { pid, inside: ['nsenter', '--target', `${pid}`, '--user', '--preserve-credentials', '--net'] }
}

async function ip([command, ...inside]: Inside, ...words: string[]): Promise<void> {
  await run(command!, [...inside, 'ip', ...words])
}
