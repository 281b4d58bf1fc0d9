/** The body of `starling watch`: follows a run that goes on without it. */

import { systemClock } from '../../protocols/core/clock.ts'
import { modelParameters } from '../job/model-parameters.ts'
import { findJob, openSwarmClient } from '../network/swarm-client.ts'
import { followRun } from '../run/follow-run.ts'
import { createRenderer } from '../terminal/create-renderer.ts'
import type { CommonOptions, ProgressOptions, SwarmOptions } from './common-options.ts'
import { exitCodeOfRun } from './exit-codes.ts'
import type { CliIo } from './io.ts'
import { exportCommand } from './next-commands.ts'

export interface WatchOptions extends CommonOptions, ProgressOptions, SwarmOptions {
  /** Job id, or the name of one job. */
  job: string
}

export async function runWatch(options: WatchOptions, io: CliIo): Promise<number> {
  const startedMs = systemClock.now()
  const seconds = () => Math.round(systemClock.now() - startedMs) / 1000
  const client = await openSwarmClient(options, io)
  try {
    const { job } = await findJob(client.remote, options.job, io)
    const { envelope, manifest, statements } = await client.remote.show(job, io)
    await client.node.services.jobs.recall(
      envelope,
      statements.map((statement) => statement.envelope),
    )
    const parameters = await modelParameters(client, manifest, io)
    const renderer = createRenderer({
      mode: options.progress,
      stream: io.stdout,
      env: io.env,
      clock: systemClock,
      footer: 'Ctrl-C stops watching; the job goes on.',
      nextCommands: () => [exportCommand(manifest.name, options)],
    })
    try {
      const end = await followRun(
        {
          client,
          job,
          manifest,
          parameters,
          modelPath: undefined,
          isDetached: false,
          seconds,
          emit: (event) => renderer.event(event),
        },
        io,
      )
      return end === 'detached' ? 0 : exitCodeOfRun(end)
    } finally {
      renderer.close()
    }
  } finally {
    await client.close()
  }
}
