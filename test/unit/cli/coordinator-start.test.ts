/** How `coordinator start` ends, whenever it is told to. */

import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { runCoordinatorStart } from '../../../node/cli/coordinator-start.ts'
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

/** Runs it and aborts with SIGTERM as soon as `isTime` says so of the lines on stdout. */
async function interrupted(isTime: (stdout: string) => boolean) {
  const home = await mkdtemp(join(tmpdir(), 'starling-coordinator-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  const controller = new AbortController()
  let text = ''
  const look = () => {
    if (isTime(text)) controller.abort(new Interruption('SIGTERM'))
  }
  const stdout = {
    write: (more: string) => {
      text += more
      look()
    },
  }
  look()
  const io = { stdout, stderr: stdout, env: { STARLING_HOME: home }, cwd: home, signal: controller.signal }
  const reason: unknown = await runCoordinatorStart(options, io).catch((error: unknown) => error)
  const events = text.trimEnd().split('\n')
  return {
    reason,
    events: events.map((line) => JSON.parse(line).event),
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
