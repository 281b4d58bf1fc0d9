/** The body of `starling coordinator start`: the first address of a swarm, its relay, and the judge of its runs. */

import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { Coordinator, type CoordinatorEvent, type OpenJob } from '../../coordinator/index.ts'
import { outerOptimizer, trainingSpec } from '../../engine/job-settings.ts'
import { systemClock } from '../../protocols/core/clock.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import { jobCard } from '../../protocols/jobs/card.ts'
import type { JobRecord, Jobs } from '../../protocols/jobs/index.ts'
import { firstState } from '../../protocols/run/advance.ts'
import { stateBlocks } from '../../protocols/run/blocks.ts'
import { encodeState } from '../../protocols/run/state.ts'
import { openNodeCompute } from '../compute/compute.ts'
import { evaluationBatch, measureOn } from '../compute/measure.ts'
import { publishAddresses } from '../network/coordinator-address.ts'
import { invitationLink } from '../network/invitation-link.ts'
import { type PageServer, startPageServer, tabFolder } from '../network/page-server.ts'
import { type StunServer, startStunServer } from '../network/stun-server.ts'
import { openHome, openSwarmNode, type SwarmNode } from '../network/swarm-node.ts'
import { fetchMaterial } from '../peer/job-material.ts'
import { runPlan } from '../peer/run-plan.ts'
import { dirsFor } from '../storage/dirs.ts'
import { JobRecords } from '../storage/job-records.ts'
import { blocksOfJob, type KeptBlocks } from '../storage/kept-blocks.ts'
import { KeptStates, type NamedStates } from '../storage/kept-state.ts'
import { loadOrCreateSwarmKey } from '../storage/swarm-key.ts'
import type { CommonOptions } from './common-options.ts'
import type { CliIo } from './io.ts'
import { type LogLine, processLog } from './process-log.ts'
import { failureOf } from './render-error.ts'

export interface CoordinatorStartOptions extends CommonOptions {
  /** Multiaddrs to listen on. */
  listen: string[]
  /** Multiaddrs that others are told, when they differ from those listened on. */
  announce: string[]
  /** Let peers on the local network find this coordinator. */
  mdns: boolean
  /** Peer ids of owners whose jobs are taken; empty: anybody's. */
  allowOwner: string[]
  /** File with the swarm's key, made when missing; `undefined`: anybody may connect. */
  swarmKey?: string | undefined
  /** Serve the donor page. */
  page: boolean
  /** Address that it is served at. */
  pageHost: string
  /** `undefined`: the usual one, or a free one when that is taken. */
  pagePort?: number | undefined
  /** What links name in its place, when a web server stands before it. */
  pageUrl?: string | undefined
}

/**
 * Runs until it is interrupted.
 * @throws {unknown} `io.signal.reason`, once everything is closed; {@link openSwarmNode}'s and
 * {@link publishAddresses}'s errors.
 */
export async function runCoordinatorStart(options: CoordinatorStartOptions, io: CliIo): Promise<never> {
  const log = processLog(io, options)
  const dirs = dirsFor(io.env)
  const home = join(dirs.data, 'coordinator')
  let page: PageServer | undefined
  let stun: StunServer | undefined
  const keyPath = options.swarmKey === undefined ? undefined : resolve(io.cwd, options.swarmKey)
  const swarmKey = keyPath === undefined ? undefined : await loadOrCreateSwarmKey(keyPath)
  const linkTo = (job: string) =>
    page &&
    invitationLink({ pageUrl: options.pageUrl ?? page.url, job, addresses: node.addresses(), swarmKey })
  const { blocks, ...identity } = await openHome(home)
  const node: SwarmNode = await openSwarmNode({
    ...identity,
    listen: options.listen,
    announce: options.announce,
    bootstrap: [],
    swarmKey,
    relay: true,
    mdns: options.mdns,
    self: { role: 'coordinator', backend: 'none', threads: 0, clientOnly: false },
    linkTo,
    admit: ({ manifest }) => {
      if (options.allowOwner.length > 0 && !options.allowOwner.includes(manifest.owner))
        throw new SwarmError('REFUSED', `this coordinator takes no jobs of owner ${manifest.owner}`, {
          hint: `Ask who runs it for \`--allow-owner ${manifest.owner}\`, or start a coordinator of your own.`,
        })
    },
  })
  const { jobs, shards, discovery, versions } = node.services
  versions.follow((mismatch) => log({ event: 'version_mismatch', ...failureOf(mismatch) }))
  const kept = new KeptStates(node.store, () => namedStates(jobs))
  const coordinator = new Coordinator({
    self: node.self,
    jobs,
    blocks: stateBlocks(shards),
    onPeerGone: (listener) =>
      discovery.on((event) => {
        if (event.kind === 'PeerGone') listener(event.peer)
      }),
    open: async (record, { signal }) => {
      await makeRoom(blocks, jobs, kept)
      return openJob(node, kept, record, signal)
    },
    clock: systemClock,
    epochMs: () => Date.now(),
    onEvent: (event) => logEvent(log, event, linkTo),
  })
  const records = new JobRecords(join(home, 'jobs'), jobs, (path, error) =>
    log({ event: 'record_failed', path, message: failureOf(error).message }),
  )
  let retract = async () => {}
  try {
    io.signal.throwIfAborted()
    if (options.page) page = await servePage(options, jobs)
    stun = await answerStun(options.listen, node.localAddresses(), log)
    // a router may not lead back to this machine what it announces
    retract = await publishAddresses(dirs, { addresses: node.localAddresses(), swarmKey: keyPath })
    await records.restore(io)
    io.signal.throwIfAborted()
    log({
      event: 'ready',
      peer: node.self,
      private: swarmKey !== undefined,
      addresses: node.addresses(),
      page: page?.url,
    })
    return await interruptionOf(io.signal)
  } finally {
    await retract()
    await page?.close()
    await stun?.close()
    await coordinator.close()
    await node.close()
    log({ event: 'stopped' })
  }
}

function servePage(
  { pageHost, pagePort, pageUrl }: CoordinatorStartOptions,
  jobs: Jobs,
): Promise<PageServer> {
  if (pageUrl !== undefined && !URL.canParse(pageUrl)) {
    throw new SwarmError('USAGE', `--page-url ${pageUrl} is no address of a page`, {
      hint: 'Give a whole one: https://train.example/',
    })
  }
  return startPageServer({
    folder: tabFolder,
    host: pageHost,
    port: pagePort,
    cardOf: (job) => {
      const record = jobs.get(job)
      return record && jobCard(record)
    },
  })
}

/**
 * Answers tabs that ask under which address they are seen, where this coordinator takes WebSockets. Without it, as when
 * another program has the port, they meet over the relay: said, and nothing to stop for.
 */
async function answerStun(
  listen: readonly string[],
  addresses: readonly string[],
  log: (line: LogLine) => void,
): Promise<StunServer | undefined> {
  const webSocket = /^\/ip[46]\/([^/]+)\/tcp\/(\d+)\/ws/
  const [, host, chosen] = listen.map((address) => webSocket.exec(address)).find(Boolean) ?? []
  const [, , opened] = addresses.map((address) => webSocket.exec(address)).find(Boolean) ?? []
  const port = Number(chosen) || Number(opened)
  if (host === undefined || !port) return undefined
  try {
    return await startStunServer({ host, port })
  } catch (error) {
    log({ event: 'stun_failed', ...failureOf(error) })
    return undefined
  }
}

/** Rejects with the reason of `signal` once that is aborted. */
function interruptionOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

/** Threads that measure: half of the cores, since on a small machine the peers have the same ones. */
const threads = Math.max(1, Math.floor(availableParallelism() / 2))

/** Keeps what the open jobs are made of; of those that have ended what `starling export` asks for. */
async function makeRoom(blocks: KeptBlocks, jobs: Jobs, kept: KeptStates): Promise<void> {
  const needed = await kept.blocks()
  let bytes = 0
  for (const { job, status } of jobs.list()) {
    const manifest = jobs.get(job)?.manifest
    if (manifest === undefined) continue
    const isModelOnly = status !== 'open'
    needed.push(...(await blocksOfJob(blocks.store, manifest, { isModelOnly })))
    bytes += manifest.model.bytes + (isModelOnly ? 0 : manifest.data.bytes)
  }
  await blocks.makeRoom(bytes, needed)
}

/** Of each known job: once it has ended, the state of its verdict. */
function namedStates(jobs: Jobs): NamedStates[] {
  return jobs.list().flatMap(({ job }) => {
    const record = jobs.get(job)
    if (record === undefined) return []
    const last = record.verdict?.statement.state
    return [{ job, roots: last ? [last.root] : record.evaluations.map(({ statement }) => statement.root) }]
  })
}

async function openJob(
  node: SwarmNode,
  kept: KeptStates,
  record: JobRecord,
  signal: AbortSignal,
): Promise<OpenJob> {
  const { manifest, job, evaluations } = record
  const { model, dataSet } = await fetchMaterial({ manifest, shards: node.services.shards }, { signal })
  const compute = openNodeCompute()
  try {
    const spec = trainingSpec(manifest.model, manifest.train, evaluationBatch(model, manifest.model.output))
    const opened = await compute.open(model, spec, { backend: 'auto', threads }, { signal })
    const optimizer = outerOptimizer(manifest.train, manifest.swarm.outer, opened.parameters)
    const parameters = opened.parameterCount
    const expected = { job, parameters, outer: optimizer.stateLength(parameters) }
    const evaluated = evaluations.map(({ statement }) => statement.root)
    const plan = runPlan(record, optimizer.learningRate)
    const first = () => firstState(plan, opened.initial, optimizer)
    const { root } = await encodeState(first())
    return {
      expected,
      first: { root: root.toString(), state: first },
      measure: measureOn(compute, opened, dataSet.validation, manifest.model.inputs),
      keep: await kept.keeper(expected, evaluated),
      close: () => compute.close(),
    }
  } catch (error) {
    await compute.close()
    throw error
  }
}

function logEvent(
  log: (line: LogLine) => void,
  event: CoordinatorEvent,
  linkTo: (job: string) => string | undefined,
): void {
  const { job } = event
  if (event.kind === 'taken-up') log({ event: 'job', job, name: event.name, link: linkTo(job) })
  else if (event.kind === 'watching') log({ event: 'watching', job, seconds: event.seconds })
  else if (event.kind !== 'run') log({ event: event.kind, job, ...failureOf(event.error) })
  else logRun(log, job, event.event)
}

function logRun(
  log: (line: LogLine) => void,
  job: string,
  event: Extract<CoordinatorEvent, { kind: 'run' }>['event'],
): void {
  if (event.kind === 'evaluated') {
    const { state, measurement, seconds } = event
    log({ event: 'evaluated', job, round: state.round, root: state.root, ...measurement, seconds })
  } else if (event.kind === 'evaluation-failed') {
    log({ event: 'evaluation_failed', job, round: event.state.round, message: String(event.error) })
  } else if (event.kind === 'fork') {
    log({ event: 'fork', job, round: event.round, branches: event.branches })
  } else {
    log({ event: 'verdict', job, verdict: event.verdict.verdict, reason: event.verdict.reason })
  }
}
