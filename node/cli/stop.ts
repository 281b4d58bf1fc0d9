/** The body of `starling stop`: ends a job with the key that launched it. */

import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { SwarmError } from '../../protocols/core/errors.ts'
import { sealStatement, statementKind } from '../../protocols/jobs/index.ts'
import { findJob, openSwarmClient, ownerKey } from '../network/swarm-client.ts'
import type { CommonOptions, SwarmOptions } from './common-options.ts'
import { exitCodes } from './exit-codes.ts'
import { type CliIo, writeJson } from './io.ts'

export interface StopOptions extends CommonOptions, SwarmOptions {
  /** Job id, or the name of one job. */
  job: string
}

export async function runStop(options: StopOptions, io: CliIo): Promise<number> {
  const client = await openSwarmClient(options, io)
  try {
    const { job, name, owner, status } = await findJob(client.remote, options.job, io)
    const key = await ownerKey(io.env)
    if (peerIdFromPrivateKey(key).toString() !== owner) {
      throw new SwarmError('REFUSED', `job "${name}" belongs to another owner, ${owner}`, {
        hint: 'Run this where the job was launched: its key signs the request.',
      })
    }
    if (status === 'open') {
      const stop = { kind: statementKind.stop, job, at: Date.now(), reason: 'the owner stopped the job' }
      await client.remote.stop((await sealStatement(stop, key)).envelope, io)
    }
    const end = status === 'open' ? 'stopped' : status
    if (options.json) writeJson(io, { success: true, job, name, status: end })
    else io.stdout.write(status === 'open' ? `Stopped ${name}.\n` : `${name} had ended already: ${status}.\n`)
    return exitCodes.ok.code
  } finally {
    await client.close()
  }
}
