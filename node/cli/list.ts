/** The body of `starling list`: one line for each job that the coordinator knows. */

import type { JobSummary } from '../../protocols/jobs/index.ts'
import { openSwarmClient } from '../network/swarm-client.ts'
import type { CommonOptions, SwarmOptions } from './common-options.ts'
import { exitCodes } from './exit-codes.ts'
import { type CliIo, writeJson } from './io.ts'
import { table } from './table.ts'

export interface ListOptions extends CommonOptions, SwarmOptions {}

export async function runList(options: ListOptions, io: CliIo): Promise<number> {
  const client = await openSwarmClient(options, io)
  try {
    const jobs = await client.remote.list(io)
    jobs.sort((a, b) => b.created - a.created)
    if (options.json) writeJson(io, { success: true, jobs: jobs.map(asJson) })
    else if (jobs.length === 0) io.stderr.write('No jobs. Launch one with `starling launch <job.yaml>`.\n')
    else io.stdout.write(table(['NAME', 'STATUS', 'ROUND', 'PEERS', 'CREATED', 'JOB'], jobs.map(row)))
    return exitCodes.ok.code
  } finally {
    await client.close()
  }
}

function row({ name, status, round, peers, created, job }: JobSummary): string[] {
  return [name, status, String(round), String(peers), new Date(created).toISOString().slice(0, 19), job]
}

function asJson({ job, name, owner, status, created, expires, round, peers }: JobSummary) {
  const time = (ms: number) => new Date(ms).toISOString()
  return { job, name, owner, status, round, peers, created: time(created), expires: time(expires) }
}
