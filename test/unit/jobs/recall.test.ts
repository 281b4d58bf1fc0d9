/** What listeners see of a job that a peer takes up again after a restart. */

import { expect, test } from 'vitest'
import { createManifest } from '../../../protocols/jobs/manifest.ts'
import { statusOf } from '../../../protocols/jobs/record.ts'
import { sealManifest, sealStatement } from '../../../protocols/jobs/signed.ts'
import { statementKind } from '../../../protocols/jobs/statement.ts'
import { coordinatorKey, created, manifestInit, ownerKey, root } from './example.ts'
import { loneService } from './lone-service.ts'

test('a job that had ended is ended when listeners hear that it was added', async () => {
  const { job, envelope } = await sealManifest(createManifest(manifestInit()), ownerKey)
  const verdict = await sealStatement(
    {
      kind: statementKind.verdict,
      job,
      at: created,
      verdict: 'converged',
      reason: 'because',
      state: { round: 4, root },
      value: 0.98,
      rounds: 4,
    },
    coordinatorKey,
  )
  const service = loneService()
  const heard: string[] = []
  service.on((notice) => {
    heard.push(notice.kind === 'added' ? `added ${statusOf(notice.record)}` : notice.kind)
  })
  await service.recall(envelope, [verdict.envelope])
  expect(heard).toEqual(['added converged', 'verdict'])
})

test('a job that has expired is not recalled', async () => {
  const manifest = createManifest(manifestInit({ created: created - 10, expires: created - 1 }))
  const { job, envelope } = await sealManifest(manifest, ownerKey)
  const service = loneService()
  await expect(service.recall(envelope, [])).rejects.toMatchObject({ code: 'EXPIRED' })
  expect(service.get(job)).toBeUndefined()
})
