/**
 * The body of `starling export`: the owner's model with the weights of the best state that was measured, as the ONNX
 * file that was launched, or as a checkpoint for PyTorch where the file's name ends in `.safetensors`.
 */

import { resolve } from 'node:path'
import { safetensorsOf } from '../../engine/model/safetensors.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import { type RemoteJob, statementKind } from '../../protocols/jobs/index.ts'
import { modelParameters } from '../job/model-parameters.ts'
import { findJob, openSwarmClient } from '../network/swarm-client.ts'
import { trainedModel, writeModel } from '../run/trained-model.ts'
import type { CommonOptions, SwarmOptions } from './common-options.ts'
import { exitCodes } from './exit-codes.ts'
import { type CliIo, writeJson } from './io.ts'

export interface ExportOptions extends CommonOptions, SwarmOptions {
  /** Job id, or the name of one job. */
  job: string
  /**
   * File to write; `undefined`: `<job name>-trained.onnx` in the current folder, where a file named after the job may
   * be the one that was launched.
   */
  output: string | undefined
}

export async function runExport(options: ExportOptions, io: CliIo): Promise<number> {
  const client = await openSwarmClient(options, io)
  try {
    const { job } = await findJob(client.remote, options.job, io)
    const details = await client.remote.show(job, io)
    const { manifest } = details
    const { round, root } = bestState(details)
    const parameters = await modelParameters(client, manifest, io)
    const peers = [client.coordinator, ...details.progress.map(({ peer }) => peer)]
    const model = await trainedModel({ node: client.node, job, manifest, parameters, root, peers }, io)
    const path = resolve(io.cwd, options.output ?? `${manifest.name}-trained.onnx`)
    await writeModel(path, path.endsWith('.safetensors') ? safetensorsOf(model) : model)
    if (options.json) writeJson(io, { success: true, job, round, root, model: path })
    else io.stdout.write(`${path}\n`)
    return exitCodes.ok.code
  } finally {
    await client.close()
  }
}

/** The verdict's state, or the best one measured so far: the one that the coordinator keeps. */
function bestState({ manifest, statements }: RemoteJob): { round: number; root: string } {
  const all = statements.map(({ statement }) => statement)
  const verdict = all.find(
    (statement) => statement.kind === statementKind.verdict && statement.state !== null,
  )
  if (verdict?.kind === statementKind.verdict && verdict.state !== null) return verdict.state
  const { metric } = manifest.convergence
  const measured = all.filter((statement) => statement.kind === statementKind.evaluation)
  const badness = ({ loss, accuracy }: (typeof measured)[number]) =>
    metric === 'val_accuracy' ? -(accuracy ?? 0) : (loss ?? Number.POSITIVE_INFINITY)
  const [best] = measured.sort((a, b) => badness(a) - badness(b))
  if (best !== undefined) return best
  throw new SwarmError('NOT_FOUND', `no state of job "${manifest.name}" has been measured yet`, {
    hint: 'Try again when the run has had its first evaluation; `starling show` tells.',
  })
}
