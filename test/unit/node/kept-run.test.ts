/** What a node keeps of a run, on a real disk. */

import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { KeptRun, keptRunsMax } from '../../../node/storage/kept-run.ts'
import { encodeState, type State } from '../../../protocols/run/state.ts'
import { VirtualClock } from '../../../simulator/clock.ts'

/** Three chunks, of which the first two are equal, as those of an outer state's zeros are. */
const parameterCount = (1 << 19) + 1_000

const expected = { job: 'bafyjob', parameters: parameterCount, outer: 5 }

function stateOf(round: number): State {
  const leases = { cursor: 3, firstStep: 2, steps: 4, holders: ['a', 'b'], rates: [1, 2] }
  return {
    job: 'bafyjob',
    round,
    weight: 10 * round,
    electorate: ['a', 'b'],
    leases,
    ahead: null,
    parameters: new Float32Array(parameterCount).fill(round, -100),
    outer: Float32Array.of(round, 1, 2, 3, 4),
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array) =>
  Buffer.from(buffer, byteOffset, byteLength)

async function runsFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'starling-test-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'runs')
}

test('a next life finds the newest state and the newest pledge, whole', async () => {
  const runs = await runsFolder()
  const first = await KeptRun.open(runs, 'bafyjob')
  expect(first.pledges.recalled).toBeUndefined()
  expect(await first.state(expected)).toBeUndefined()
  for (let round = 1; round <= 3; round++) first.keep(await encodeState(stateOf(round)))
  await first.pledges.write([Uint8Array.of(1, 2), Uint8Array.of(3)])
  await first.pledges.write([Uint8Array.of(4), Uint8Array.of(5, 6)])

  const second = await KeptRun.open(runs, 'bafyjob')
  expect([...second.pledges.recalled!]).toEqual([4, 5, 6])
  const { parameters, ...rest } = (await second.state(expected))!
  const { parameters: written, ...restWritten } = stateOf(3)
  expect(rest).toEqual(restWritten)
  expect(bytesOf(parameters).equals(bytesOf(written))).toBe(true)
  await second.pledges.write(undefined)
  expect((await KeptRun.open(runs, 'bafyjob')).pledges.recalled).toBeUndefined()
})

test('a state is on the disk before what is pledged in its round', async () => {
  const runs = await runsFolder()
  const run = await KeptRun.open(runs, 'bafyjob')
  run.keep(await encodeState(stateOf(7)))
  await run.pledges.write([Uint8Array.of(7)])
  const kept = await (await KeptRun.open(runs, 'bafyjob')).state(expected)
  expect(kept!.round).toBe(7)
})

test('what the disk has spoiled, or another version wrote, counts as lost', async () => {
  const runs = await runsFolder()
  const run = await KeptRun.open(runs, 'bafyjob')
  run.keep(await encodeState(stateOf(1)))
  await run.pledges.write([Uint8Array.of(1, 2, 3)])
  for (const file of ['state', 'pledge']) {
    const path = join(runs, 'bafyjob', file)
    const bytes = await readFile(path)
    bytes[1]! ^= 1
    await writeFile(path, bytes)
  }
  const spoiled = await KeptRun.open(runs, 'bafyjob')
  expect(spoiled.pledges.recalled).toBeUndefined()
  expect(await spoiled.state(expected)).toBeUndefined()
  await rm(join(runs, 'bafyjob', 'state'))
  await mkdir(join(runs, 'bafyjob', 'state')) // what no file can be read from
  expect(await spoiled.state(expected)).toBeUndefined()
  await rm(join(runs, 'bafyjob', 'state'), { recursive: true })
  spoiled.keep(await encodeState(stateOf(2)))
  await spoiled.close()
  const other = await KeptRun.open(runs, 'bafyjob')
  expect(await other.state({ ...expected, outer: 6 })).toBeUndefined()
  expect((await other.state(expected))!.round).toBe(2)
})

test('a pledge that cannot be written fails, and so does one whose state could not be', async () => {
  const runs = await runsFolder()
  const run = await KeptRun.open(runs, 'bafyjob')
  await mkdir(join(runs, 'bafyjob', 'pledge.new')) // in the way of the file
  const refused = { code: 'STORAGE_FAILED', retry: 'never' }
  await expect(run.pledges.write([Uint8Array.of(1)])).rejects.toMatchObject(refused)
  await rm(join(runs, 'bafyjob', 'pledge.new'), { recursive: true })
  await run.pledges.write([Uint8Array.of(1)])
  await mkdir(join(runs, 'bafyjob', 'state.new'))
  run.keep(await encodeState(stateOf(1)))
  await expect(run.pledges.write([Uint8Array.of(2)])).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  expect([...(await KeptRun.open(runs, 'bafyjob')).pledges.recalled!]).toEqual([1])
})

test('a run that ended leaves nothing, and of those that did not the newest few are kept', async () => {
  const runs = await runsFolder()
  for (let age = keptRunsMax + 2; age > 0; age--) {
    const run = await KeptRun.open(runs, `job-${age}`)
    await run.pledges.write([Uint8Array.of(age)])
    await utimes(join(runs, `job-${age}`), 1_000_000 - age, 1_000_000 - age)
  }
  const run = await KeptRun.open(runs, 'job-0')
  const newest = Array.from({ length: keptRunsMax }, (_, age) => `job-${age}`)
  expect((await readdir(runs)).sort()).toEqual(newest)
  await run.forget()
  expect(await readdir(runs)).not.toContain('job-0')
})

test.runIf(process.platform === 'linux')(
  'a disk that is full keeps what it had, and no half of a new file',
  async () => {
    const runs = await runsFolder()
    const run = await KeptRun.open(runs, 'bafyjob')
    await run.pledges.write([Uint8Array.of(1)])
    await symlink('/dev/full', join(runs, 'bafyjob', 'pledge.new'))
    await expect(run.pledges.write([Uint8Array.of(2)])).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
      retry: 'same-peer', // a node comes back to its run by itself once there is room
      cause: { code: 'ENOSPC' },
    })
    expect(await readdir(join(runs, 'bafyjob'))).toEqual(['pledge'])
    expect([...(await KeptRun.open(runs, 'bafyjob')).pledges.recalled!]).toEqual([1])
  },
)

test.each(['close', 'forget'] as const)(
  'after %s nothing is written that waited for a write',
  async (end) => {
    const runs = await runsFolder()
    const run = await KeptRun.open(runs, 'bafyjob')
    const late = run.pledges.write([Uint8Array.of(1)]).then(() => run.pledges.write([Uint8Array.of(2)]))
    const refused = expect(late).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    await run[end]()
    run.keep(await encodeState(stateOf(1)))
    await refused
    const next = await KeptRun.open(runs, 'bafyjob')
    expect(next.pledges.recalled).toEqual(end === 'close' ? Uint8Array.of(1) : undefined)
    expect(await next.state(expected)).toBeUndefined()
  },
)

test.runIf(process.platform === 'linux')(
  'a disk that hangs holds up who leaves for two seconds, and who comes back until it has answered',
  async () => {
    const runs = await runsFolder()
    const clock = new VirtualClock()
    const run = await KeptRun.open(runs, 'bafyjob', clock)
    const pipe = join(runs, 'bafyjob', 'pledge.new')
    execFileSync('mkfifo', [pipe]) // nobody can write to it until somebody reads
    const held = run.pledges.write([Uint8Array.of(1)])
    const closed = run.close()
    clock.runNext(2_000)
    expect(clock.now()).toBe(2_000)
    await closed
    await expect(KeptRun.open(runs, 'bafyjob')).rejects.toMatchObject({ retry: 'same-peer' })
    await Promise.all([readFile(pipe), expect(held).rejects.toThrow()]) // a pipe cannot be flushed
    const next = await KeptRun.open(runs, 'bafyjob')
    expect(next.pledges.recalled).toBeUndefined()
  },
)

test('a folder from a time to come is not kept before those that were used since', async () => {
  const runs = await runsFolder()
  for (let age = keptRunsMax; age > 0; age--) {
    await KeptRun.open(runs, `job-${age}`)
    await utimes(join(runs, `job-${age}`), 1_000_000 - age, 1_000_000 - age)
  }
  await utimes(join(runs, `job-${keptRunsMax}`), 1e10, 1e10)
  await KeptRun.open(runs, 'job-0')
  const newest = Array.from({ length: keptRunsMax }, (_, age) => `job-${age}`)
  expect((await readdir(runs)).sort()).toEqual(newest)
})
