/** What a peer asks another about when it compares their lists of jobs. */

import { expect, test } from 'vitest'
import { Comparison } from '../../../protocols/jobs/comparison.ts'
import { createManifest } from '../../../protocols/jobs/manifest.ts'
import type { JobStatus } from '../../../protocols/jobs/messages.ts'
import { type JobRecord, summaryOf } from '../../../protocols/jobs/record.ts'
import type { RemoteJobs } from '../../../protocols/jobs/remote.ts'
import { sealManifest, sealStatement } from '../../../protocols/jobs/signed.ts'
import { statementKind } from '../../../protocols/jobs/statement.ts'
import { created, manifestInit, ownerKey } from './example.ts'

const { signal } = new AbortController()

async function record(name: string): Promise<JobRecord> {
  const signed = await sealManifest(createManifest(manifestInit({ name })), ownerKey)
  return { ...signed, progress: new Map(), evaluations: [] }
}

async function stopped(name: string): Promise<JobRecord> {
  const open = await record(name)
  const statement = { kind: statementKind.stop, job: open.job, at: created, reason: 'enough' } as const
  return { ...open, stop: await sealStatement(statement, ownerKey) }
}

/** A peer that knows `records`; `asked` fills with the names it is asked about. */
function remote(records: readonly JobRecord[], asked: string[]): RemoteJobs {
  return {
    list: async () => records.map(summaryOf),
    async show(job: string) {
      const { stop, progress: _, ...signed } = records.find((known) => known.job === job)!
      asked.push(signed.manifest.name)
      return { ...signed, progress: [], statements: stop === undefined ? [] : [stop] }
    },
  } as unknown as RemoteJobs
}

test('a registry that is full is not offered what it would not keep, and is again once there is room', async () => {
  const records = [await record('running'), await stopped('over')]
  const asked: string[] = []
  let room: readonly JobStatus[] = []
  const known = new Map<string, JobRecord>()
  const comparison = new Comparison({
    get: (job) => known.get(job),
    hasRoom: ({ status }) => room.includes(status),
    takeUp: (signed) => void known.set(signed.job, records.find(({ job }) => job === signed.job)!),
  })
  const compare = () => comparison.with('peer', remote(records, asked), { signal })
  await compare()
  expect(asked).toEqual([])
  room = ['open']
  await compare()
  expect(asked).toEqual(['running'])
  room = ['open', 'stopped']
  await compare()
  await compare()
  expect(asked).toEqual(['running', 'over'])
})
