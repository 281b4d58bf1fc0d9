/**
 * The body of `starling launch`: from a job file to a trained model.
 *
 *     read job, model, data ──▶ compile the model here ──▶ swarm (started, or found) ──▶ sign, submit, seed
 *                                                              ──▶ follow to the verdict ──▶ write the model
 *
 * Everything that can be wrong with the job is found before anything is started or published.
 */

import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { type DataSet, inputShape } from '../../data/data-set.ts'
import { type EncodedDataSet, encodeDataSet } from '../../data/shards.ts'
import type { OpenedModel } from '../../engine/compute/compute.ts'
import { trainingSpec } from '../../engine/job-settings.ts'
import { validate } from '../../engine/model/validate.ts'
import { systemClock } from '../../protocols/core/clock.ts'
import { createManifest, type Manifest, sealManifest } from '../../protocols/jobs/index.ts'
import { putFile } from '../../protocols/shards/index.ts'
import { openNodeCompute } from '../compute/compute.ts'
import { requireFit, requireWholeBatches } from '../job/data-fit.ts'
import type { DownloadProgress } from '../job/download.ts'
import { openJobData } from '../job/job-data.ts'
import { type JobFile, readJobFile } from '../job/job-file.ts'
import { namingModel, readModelFile } from '../job/model-file.ts'
import { stateWarning } from '../job/state-size.ts'
import { findSwarm, type NamedSwarm, publishAddresses } from '../network/coordinator-address.ts'
import { openSwarmClient, ownerKey, type SwarmClient } from '../network/swarm-client.ts'
import { followRun } from '../run/follow-run.ts'
import type { RunEvent } from '../run/run-events.ts'
import { requireWritable } from '../run/trained-model.ts'
import { dirsFor } from '../storage/dirs.ts'
import { pruneRunFolders, runFolder } from '../storage/run-folders.ts'
import { createRenderer } from '../terminal/create-renderer.ts'
import type { CommonOptions, ProgressOptions, SwarmOptions } from './common-options.ts'
import { exitCodeOfRun, exitCodes } from './exit-codes.ts'
import type { CliIo } from './io.ts'
import { type LocalSwarm, startLocalSwarm } from './local-swarm.ts'
import { nextCommands } from './next-commands.ts'

export interface LaunchOptions extends CommonOptions, ProgressOptions, SwarmOptions {
  /** Path of the job file, as typed. */
  jobFile: string
  /** Nodes to start on this machine, with a coordinator; `undefined`: use the swarm of `coordinator`. */
  local: number | undefined
  /** Data set on this machine, instead of the job file's download. */
  data: string | undefined
  /** Folder for the trained model; `undefined`: one named after the job, in the current folder. */
  output: string | undefined
  /** Return when the job is published. */
  detach: boolean
}

/**
 * How long a job is offered, beyond the minutes that its run may take: for peers whose clocks are off, and late
 * readers.
 */
const expiryMarginMs = 24 * 3_600_000

/** What to type elsewhere to help with a run. */
const nodeStart = 'starling node start'

const nodeStartElsewhere = ({ swarmKey }: NamedSwarm): string =>
  `${nodeStart} --coordinator <address>${swarmKey === undefined ? '' : ' --swarm-key <file>'}`

const keyIsUnused = (swarmKey: string): string =>
  `--local starts a swarm of its own on this machine, which takes no key: ${swarmKey} is not used.`

/** A job that has passed every check that can be made without a swarm. */
interface Prepared {
  file: JobFile
  model: Uint8Array
  opened: OpenedModel
  data: EncodedDataSet
  dataSet: DataSet
}

export async function runLaunch(options: LaunchOptions, io: CliIo): Promise<number> {
  const startedMs = systemClock.now()
  const seconds = () => Math.round(systemClock.now() - startedMs) / 1000
  const renderer = createRenderer({
    mode: options.progress,
    stream: io.stdout,
    env: io.env,
    clock: systemClock,
    footer:
      options.local === undefined
        ? 'Ctrl-C stops watching; the job goes on.'
        : 'Ctrl-C ends the run and all its processes.',
    nextCommands: (verdict) => nextCommands(verdict, options),
  })
  const emit = (event: RunEvent) => renderer.event(event)
  const say = (sentence: string) => emit({ event: 'phase', seconds: seconds(), sentence })
  if (options.local !== undefined && options.swarmKey !== undefined)
    emit({ event: 'warning', seconds: seconds(), message: keyIsUnused(options.swarmKey) })
  try {
    // before anything is downloaded for a job that has nowhere to go
    if (options.local === undefined) await findSwarm(options, io)
    const outputs = resolve(io.cwd, options.output ?? 'starling-runs')
    if (!options.detach) await requireWritable(outputs)
    const prepared = await prepare(options, io, say)
    for (const message of warningsOf(prepared)) emit({ event: 'warning', seconds: seconds(), message })
    return await inSwarm(options, io, { say, emit, seconds }, async (client, swarm, signal) => {
      const { manifest, envelope } = await seal(prepared, client, await ownerKey(io.env))
      const { link } = await submit(client, envelope.envelope, signal)
      if (link !== undefined) emit({ event: 'invitation', seconds: seconds(), link })
      const run = { client, job: envelope.job, manifest, parameters: prepared.opened.parameters }
      const name = `${manifest.name}-${envelope.job.slice(-8)}`
      const folder = options.output === undefined ? join(outputs, name) : outputs
      const end = await followRun(
        {
          ...run,
          modelPath: join(folder, 'model.onnx'),
          nameOf: (peer) => swarm?.names.get(peer),
          isDetached: options.detach,
          seconds,
          emit,
          howToJoin: swarm === undefined ? nodeStartElsewhere(options) : nodeStart,
        },
        { signal },
      )
      if (end === 'detached') {
        say(`The job is in the swarm as ${envelope.job}. See \`starling watch ${manifest.name}\`.`)
        return exitCodes.jobUnfinished.code
      }
      return exitCodeOfRun(end)
    })
  } finally {
    renderer.close()
  }
}

async function prepare(
  options: LaunchOptions,
  io: CliIo,
  say: (sentence: string) => void,
): Promise<Prepared> {
  const { signal } = io
  const file = await readJobFile(resolve(io.cwd, options.jobFile))
  const { spec, directory, modelPath } = file
  const model = await readModelFile(modelPath)
  say(spec.data.kind === 'glyphs' ? 'Drawing the data set.' : 'Reading the data set.')
  const dataSet = await openJobData(spec.data, {
    directory,
    dataPath: options.data === undefined ? undefined : resolve(io.cwd, options.data),
    cacheDirectory: dirsFor(io.env).cache,
    ignoredLabel: spec.model.ignoreIndex,
    onProgress: downloadSentences(say),
    signal,
  })
  say('Deriving the training graph from the model.')
  const opened = await namingModel(modelPath, async () => {
    requireWholeBatches(model, spec)
    return compile(model, file, signal)
  })
  requireFit(dataSet, { ...opened, fields: spec.model.inputs })
  return { file, model, opened, dataSet, data: await encodeDataSet(dataSet) }
}

/** What is likely not as meant: the sentences that `starling validate` has too. */
function warningsOf({ file: { spec }, model, opened }: Prepared): string[] {
  const { warnings } = validate(model, trainingSpec(spec.model, spec.train))
  const ofState = stateWarning(spec, opened.parameters)
  return [...warnings, ...(ofState === undefined ? [] : [ofState])]
}

/** Compiles what the peers will run: an unsupported operator is refused by name before anything starts. */
async function compile(model: Uint8Array, { spec }: JobFile, signal: AbortSignal): Promise<OpenedModel> {
  const compute = openNodeCompute()
  try {
    return await compute.open(
      model,
      trainingSpec(spec.model, spec.train),
      { backend: 'auto', threads: 1 },
      { signal },
    )
  } finally {
    await compute.close()
  }
}

/** One sentence a tenth of a download: lines in a pipe, and the live view's status. */
function downloadSentences(say: (sentence: string) => void): (progress: DownloadProgress) => void {
  let told = -1
  return ({ url, receivedBytes, totalBytes }) => {
    if (totalBytes === undefined) return
    const tenth = Math.floor((10 * receivedBytes) / totalBytes)
    if (tenth === told) return
    told = tenth
    say(`Downloading ${url}: ${10 * tenth} % of ${(totalBytes / 1e6).toFixed(1)} MB.`)
  }
}

interface Told {
  say(sentence: string): void
  emit(event: RunEvent): void
  seconds(): number
}

/** Runs `body` in the swarm that the options name, and ends what it started. */
async function inSwarm(
  options: LaunchOptions,
  io: CliIo,
  { say, emit, seconds }: Told,
  body: (client: SwarmClient, swarm: LocalSwarm | undefined, signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const { local } = options
  if (local === undefined) {
    say('Connecting to the coordinator.')
    return withClient(options, io, (client) => body(client, undefined, io.signal))
  }
  const dirs = dirsFor(io.env)
  say(`Starting a coordinator and ${local === 1 ? '1 peer' : `${local} peers`} on this machine.`)
  await pruneRunFolders(dirs.state)
  const swarm = await startLocalSwarm(
    {
      folder: runFolder(dirs.state, Date.now()),
      peers: local,
      threads: Math.max(1, Math.floor(availableParallelism() / local)),
      backend: 'auto',
      env: io.env,
      onLost: ({ message, hint }) => emit({ event: 'warning', seconds: seconds(), message, hint }),
    },
    { signal: io.signal },
  )
  let retract = async () => {}
  try {
    retract = await publishAddresses(dirs, { addresses: swarm.coordinator })
    const signal = AbortSignal.any([io.signal, swarm.broken])
    return await withClient(swarm, { ...io, signal }, (client) => body(client, swarm, signal))
  } finally {
    await retract()
    await swarm.close()
  }
}

async function withClient(
  swarm: NamedSwarm,
  io: CliIo,
  body: (client: SwarmClient) => Promise<number>,
): Promise<number> {
  const client = await openSwarmClient(swarm, io)
  try {
    return await body(client)
  } finally {
    await client.close()
  }
}

async function seal(
  { file, model, data, dataSet, opened }: Prepared,
  client: SwarmClient,
  owner: PrivateKey,
) {
  const { spec } = file
  const { file: _, ...plan } = spec.model
  const created = Date.now()
  const modelCid = await putFile(client.node.store, model)
  for (const { cid, bytes } of data.blocks) await client.node.store.put(cid, bytes)
  const { maxMinutes } = spec.convergence
  const manifest: Manifest = createManifest({
    name: spec.name,
    description: spec.description,
    owner: peerIdFromPrivateKey(owner).toString(),
    coordinators: [client.coordinator],
    model: { cid: modelCid.toString(), bytes: model.byteLength, ...plan },
    data: {
      cid: data.root.toString(),
      bytes: data.bytes,
      kind: dataSet.kind,
      sampleShape: inputShape(dataSet),
      classes: opened.classes ?? dataSet.classes,
      trainCount: dataSet.train.count,
      validationCount: dataSet.validation.count,
    },
    train: spec.train,
    swarm: spec.swarm,
    convergence: spec.convergence,
    created,
    expires: created + Math.ceil(maxMinutes * 60_000) + expiryMarginMs,
    nonce: crypto.getRandomValues(new Uint8Array(16)),
  })
  return { manifest, envelope: await sealManifest(manifest, owner) }
}

/** Hands the job to the coordinator, and takes it up here to seed its blocks and to hear of it. */
async function submit(
  { node, remote }: SwarmClient,
  envelope: Uint8Array,
  signal: AbortSignal,
): Promise<{ link: string | undefined }> {
  await node.services.jobs.announce(envelope)
  return remote.submit(envelope, { signal })
}
