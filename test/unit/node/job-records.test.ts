/** A coordinator's records of its jobs, on a disk that does not always do as it should. */

import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { JobRecords } from '../../../node/storage/job-records.ts'
import { jobsMax } from '../../../protocols/core/limits.ts'
import {
  createManifest,
  type Jobs,
  type ManifestInit,
  sealManifest,
  sealStatement,
  statementKind,
} from '../../../protocols/jobs/index.ts'
import { created, manifestInit, ownerId, ownerKey, strangerId, strangerKey } from '../jobs/example.ts'
import { loneService } from '../jobs/lone-service.ts'

const { signal } = new AbortController()

const sealed = (changes: Partial<ManifestInit> = {}) =>
  sealManifest(createManifest(manifestInit(changes)), ownerKey)

async function freshFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'starling-records-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'jobs')
}

/** Records of `jobs`; `told` settles with the next path that failed. */
function recordsOf(folder: string, jobs: Jobs) {
  let tell = (_: string) => {}
  const records = new JobRecords(folder, jobs, (path) => tell(path))
  const told = () =>
    new Promise<string>((resolve) => {
      tell = resolve
    })
  return { records, told }
}

/** Settles when `folder` holds a file named `name`. */
async function written(folder: string, name: string): Promise<void> {
  await expect.poll(async () => readdir(folder).catch(() => [])).toContain(name)
}

test('a file that cannot be read is told, and the other jobs are taken up', async () => {
  const folder = await freshFolder()
  const jobs = loneService()
  await recordsOf(folder, jobs).records.restore({ signal })
  const { job, envelope } = await sealed()
  await jobs.announce(envelope)
  await written(folder, `${job}.cbor`)
  await writeFile(join(folder, 'a.cbor'), 'half a fi')

  const again = loneService()
  const { records, told } = recordsOf(folder, again)
  const broken = told()
  await records.restore({ signal })
  expect(await broken).toBe(join(folder, 'a.cbor'))
  expect(again.list().map((summary) => summary.job)).toEqual([job])
})

test('a job that peers tell of before the records are read is written too, and takes nothing from one that was', async () => {
  const folder = await freshFolder()
  const jobs = loneService()
  await recordsOf(folder, jobs).records.restore({ signal })
  const { job, envelope } = await sealed()
  const stop = { kind: statementKind.stop, job, at: created, reason: 'enough' }
  await jobs.recall(envelope, [(await sealStatement(stop, ownerKey)).envelope])
  await written(folder, `${job}.cbor`)

  const again = loneService()
  const news = await sealed({ name: 'news' })
  for (const told of [envelope, news.envelope]) await again.announce(told)
  await recordsOf(folder, again).records.restore({ signal })
  await written(folder, `${news.job}.cbor`)
  const third = loneService()
  await recordsOf(folder, third).records.restore({ signal })
  expect(third.get(job)?.stop?.statement.reason).toBe('enough')
})

test('a write that fails is told, and the next one is made', async () => {
  const folder = await freshFolder()
  const jobs = loneService()
  const { records, told } = recordsOf(folder, jobs)
  await records.restore({ signal })
  await rm(folder, { recursive: true })
  const failed = told()
  const { job, envelope } = await sealed()
  await jobs.announce(envelope)
  expect(await failed).toBe(join(folder, `${job}.cbor`))

  await mkdir(folder)
  await jobs.publishStatement({
    kind: 2,
    job,
    at: 1,
    verdict: 'continue',
    reason: 'on we go',
    state: null,
    value: null,
    rounds: 0,
  })
  await written(folder, `${job}.cbor`)
})

test('a job that makes room for a new one is forgotten on the disk too', async () => {
  const folder = await freshFolder()
  const jobs = loneService()
  await recordsOf(folder, jobs).records.restore({ signal })
  const { job, envelope } = await sealed()
  await jobs.announce(envelope)
  const statement = { kind: statementKind.stop, job, at: created, reason: 'enough' }
  await jobs.recall(envelope, [(await sealStatement(statement, ownerKey)).envelope])
  await written(folder, `${job}.cbor`)

  for (let other = 1; other <= jobsMax; other++) {
    const [owner, key] = other % 2 === 0 ? [ownerId, ownerKey] : [strangerId, strangerKey]
    const manifest = createManifest(manifestInit({ name: `other-${other}`, owner }))
    await jobs.announce((await sealManifest(manifest, key)).envelope)
  }
  const left = jobs.list().map((summary) => `${summary.job}.cbor`)
  expect(left).toHaveLength(jobsMax)
  await expect.poll(async () => (await readdir(folder)).sort(), { timeout: 10_000 }).toEqual(left.sort())
})
