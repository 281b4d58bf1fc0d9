/** The body of `starling show`: everything that the coordinator knows about one job. */

import { bytes, count, loss } from '../../protocols/core/quantities.ts'
import type { RemoteJob } from '../../protocols/jobs/index.ts'
import { isFinal, statementKind } from '../../protocols/jobs/index.ts'
import { findJob, openSwarmClient } from '../network/swarm-client.ts'
import { percent, printable } from '../terminal/format.ts'
import type { CommonOptions, SwarmOptions } from './common-options.ts'
import { exitCodes } from './exit-codes.ts'
import { type CliIo, writeJson } from './io.ts'
import { table } from './table.ts'

/** Of an owner's or a coordinator's text: all that a manifest or a statement may have. */
const textLengthMax = 500

export interface ShowOptions extends CommonOptions, SwarmOptions {
  /** Job id, or the name of one job. */
  job: string
}

export async function runShow(options: ShowOptions, io: CliIo): Promise<number> {
  const client = await openSwarmClient(options, io)
  try {
    const { job, status } = await findJob(client.remote, options.job, io)
    const details = await client.remote.show(job, io)
    if (options.json) writeJson(io, { success: true, ...asJson(details, status) })
    else io.stdout.write(`${lines(details, status).join('\n')}\n`)
    return exitCodes.ok.code
  } finally {
    await client.close()
  }
}

function lines(details: RemoteJob, status: string): string[] {
  const { job, manifest, progress } = details
  const { train, swarm, convergence, model, data } = manifest
  const { evaluations, verdict } = statementsOf(details)
  const best = evaluations.at(-1)
  return [
    `${manifest.name}  ${status}`,
    ...(manifest.description === undefined ? [] : [printable(manifest.description, textLengthMax)]),
    '',
    `job          ${job}`,
    `owner        ${manifest.owner}`,
    `coordinator  ${manifest.coordinators.join(', ')}`,
    `model        ${model.cid}, ${bytes(model.bytes)}, loss ${model.loss}`,
    `data         ${data.cid}, ${bytes(data.bytes)}: ${count(data.trainCount)} samples to train, ${count(data.validationCount)} to validate`,
    `training     ${train.optimizer}, learning rate ${train.learningRate}, ${train.localSteps} local steps of ${train.batchSize} samples`,
    `averaging    ${swarm.codec}, from ${count(swarm.minPeers)} peers on`,
    `goal         ${convergence.metric} ${convergence.mode === 'max' ? '≥' : '≤'} ${convergence.target ?? 'as good as it gets'} within ${count(convergence.maxRounds)} rounds`,
    ...(best === undefined
      ? []
      : [
          `measured     loss ${best.loss === null ? 'not finite' : loss(best.loss)}${best.accuracy === null ? '' : `, accuracy ${percent(best.accuracy)}`} after ${count(best.round)} rounds`,
        ]),
    ...(verdict === undefined || !isFinal(verdict)
      ? []
      : [`verdict      ${verdict.verdict}: ${printable(verdict.reason, textLengthMax)}`]),
    '',
    progress.length === 0
      ? 'No peers report.'
      : table(['PEER', 'PHASE', 'ROUND', 'SAMPLES/S', 'SENT', 'RECEIVED'], progress.map(peerRow)).trimEnd(),
  ]
}

function peerRow(report: RemoteJob['progress'][number]): string[] {
  const { peer, phase, round, samplesPerSecond, uploadedBytes, downloadedBytes } = report
  return [
    peer,
    phase,
    String(round),
    count(Math.round(samplesPerSecond)),
    bytes(uploadedBytes),
    bytes(downloadedBytes),
  ]
}

function asJson(details: RemoteJob, status: string) {
  const { job, manifest, progress } = details
  const { evaluations, verdict } = statementsOf(details)
  return {
    job,
    name: manifest.name,
    status,
    description: manifest.description ?? null,
    owner: manifest.owner,
    coordinators: manifest.coordinators,
    model: manifest.model,
    data: manifest.data.cid,
    evaluations: evaluations.map(({ round, root, loss, accuracy }) => ({ round, root, loss, accuracy })),
    verdict:
      verdict === undefined
        ? null
        : { verdict: verdict.verdict, reason: verdict.reason, value: verdict.value },
    peers: progress.map((report) => ({
      peer: report.peer,
      phase: report.phase,
      round: report.round,
      root: report.root,
      loss: report.loss,
      samples_per_second: report.samplesPerSecond,
      uploaded_bytes: report.uploadedBytes,
      downloaded_bytes: report.downloadedBytes,
    })),
  }
}

function statementsOf({ statements }: RemoteJob) {
  const all = statements.map(({ statement }) => statement)
  return {
    evaluations: all.filter((statement) => statement.kind === statementKind.evaluation),
    verdict: all.filter((statement) => statement.kind === statementKind.verdict).at(-1),
  }
}
