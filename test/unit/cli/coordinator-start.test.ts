/** How `coordinator start` ends, whenever it is told to. */

import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type CoordinatorStartOptions, runCoordinatorStart } from '../../../node/cli/coordinator-start.ts'
import { Interruption } from '../../../node/cli/io.ts'

// it listens nowhere: this is about its end, not its network
const options = {
  listen: [],
  announce: [],
  mdns: false,
  allowOwner: [],
  page: false,
  pageHost: '',
  json: true,
}

/**
 * Runs it and aborts with SIGTERM as soon as `isTime` says so of the lines on stdout; what this machine's commands find
 * until then.
 */
async function interrupted(
  isTime: (stdout: string) => boolean,
  changes: Partial<CoordinatorStartOptions> = {},
) {
  const home = await mkdtemp(join(tmpdir(), 'starling-coordinator-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  const controller = new AbortController()
  let text = ''
  let published: string[] = []
  const look = () => {
    if (!isTime(text)) return
    const path = join(home, 'state', `coordinator-${process.pid}.json`)
    if (existsSync(path)) published = JSON.parse(readFileSync(path, 'utf8')).addresses
    controller.abort(new Interruption('SIGTERM'))
  }
  const stdout = {
    write: (more: string) => {
      text += more
      look()
    },
  }
  look()
  const io = { stdout, stderr: stdout, env: { STARLING_HOME: home }, cwd: home, signal: controller.signal }
  const reason: unknown = await runCoordinatorStart({ ...options, ...changes }, io).catch(
    (error: unknown) => error,
  )
  const lines: { event: string; private?: boolean; addresses?: string[] }[] = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  return {
    reason,
    lines,
    published,
    events: lines.map(({ event }) => event),
    state: await readdir(join(home, 'state')).catch(() => []),
  }
}

test.each([
  ['before it is ready', () => true, ['stopped']],
  ['when it is ready', (stdout: string) => stdout.includes('"ready"'), ['ready', 'stopped']],
])(
  'a coordinator that is terminated %s closes, and says that it was terminated',
  async (_, isTime, lines) => {
    const { reason, events, state } = await interrupted(isTime)
    expect(reason).toMatchObject({ name: 'AbortError', cause: 'SIGTERM' })
    expect(events).toEqual(lines)
    expect(state).toEqual([])
  },
)

test.each([
  ['open', undefined, false],
  ['private', 'swarm.key', true],
])('of a swarm that is %s the line `ready` says so', async (_, swarmKey, isPrivate) => {
  const { lines } = await interrupted((stdout) => stdout.includes('"ready"'), { swarmKey })
  expect(lines[0]).toMatchObject({ event: 'ready', private: isPrivate })
})

test('commands on its own machine find it where it listens, whatever it announces to others', async () => {
  const announced = '/dns4/train.example/tcp/4001'
  const changes = { listen: ['/ip4/127.0.0.1/tcp/0'], announce: [announced] }
  const { lines, published } = await interrupted((stdout) => stdout.includes('"ready"'), changes)
  const id = /[^/]+$/.exec(lines[0]!.addresses![0]!)![0]
  expect(lines[0]!.addresses).toEqual([`${announced}/p2p/${id}`])
  expect(published).toEqual([
    expect.stringMatching(new RegExp(`^/ip4/127\\.0\\.0\\.1/tcp/[1-9]\\d*/p2p/${id}$`)),
  ])
})
