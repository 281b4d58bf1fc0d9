/** What somebody who follows a run is told at its end. */

import { expect, test } from 'vitest'
import type { SwarmClient } from '../../../node/network/swarm-client.ts'
import { followRun } from '../../../node/run/follow-run.ts'
import type { RunEvent } from '../../../node/run/run-events.ts'
import type { JobNotice } from '../../../protocols/jobs/index.ts'
import { createManifest } from '../../../protocols/jobs/manifest.ts'
import { statementKind, type Verdict, watchingReason } from '../../../protocols/jobs/statement.ts'
import { coordinatorId, manifestInit } from '../jobs/example.ts'

const job = 'the-job'

/** The events of a run about which only `notices` are heard. */
async function told(notices: JobNotice[], isDetached = false): Promise<RunEvent[]> {
  const events: RunEvent[] = []
  const services = {
    jobs: {
      follow: (_: string, listener: (notice: JobNotice) => void) => {
        for (const notice of notices) listener(notice)
        return () => {}
      },
    },
    discovery: { on: () => () => {}, peers: () => [], seek() {} },
    versions: { follow: () => () => {} },
  }
  await followRun(
    {
      client: { node: { services }, coordinator: coordinatorId } as unknown as SwarmClient,
      job,
      manifest: createManifest(manifestInit()),
      parameters: [],
      modelPath: undefined,
      isDetached,
      seconds: () => 0,
      emit: (event) => events.push(event),
    },
    { signal: new AbortController().signal },
  )
  return events
}

function verdict(said: Verdict['verdict'], reason: string): JobNotice {
  const common = { kind: statementKind.verdict, job, at: 1 }
  const verdict = { ...common, verdict: said, reason, value: 0.5, rounds: 3, state: null }
  return { kind: 'verdict', job, signer: coordinatorId, verdict }
}

test.each<[string, JobNotice, string]>([
  ['diverged', verdict('diverged', 'the loss is not finite'), 'the loss is not finite'],
  ['plateaued', verdict('plateaued', 'it has not improved'), 'it has not improved'],
  ['out-of-budget', verdict('out-of-budget', 'all 5 rounds are used up'), 'all 5 rounds are used up'],
  ['stopped', { kind: 'forgotten', job }, 'the job has expired, or given its place to another'],
  [
    'stopped',
    { kind: 'stopped', job, stop: { kind: statementKind.stop, job, at: 1, reason: 'the owner stopped it' } },
    'the owner stopped it',
  ],
])('why a run ended without convergence is told before its end: %s', async (end, notice, reason) => {
  expect((await told([notice])).slice(-2)).toMatchObject([
    { event: 'warning', message: `The run has ended, since ${reason}.` },
    { event: 'verdict', verdict: end },
  ])
})

test('of a run that converged only the verdict is told', async () => {
  const events = await told([verdict('converged', 'val_accuracy reached 0.97')])
  expect(events.map(({ event }) => event)).toEqual(['started', 'verdict'])
})

test('what keeps the coordinator from measuring is told, and nobody is sent away on its word', async () => {
  const trouble = verdict('continue', 'the coordinator cannot measure the run: the disk is full')
  const isTold = { event: 'warning', message: 'The coordinator cannot measure the run: the disk is full.' }
  const waited = await told([trouble, verdict('converged', 'on target')], true)
  expect(waited).toMatchObject([{ event: 'started' }, isTold, { event: 'verdict', verdict: 'converged' }])
  const went = await told([trouble, verdict('continue', watchingReason)], true)
  expect(went).toMatchObject([{ event: 'started' }, isTold])
})
