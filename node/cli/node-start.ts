/**
 * The body of `starling node start`: a peer that trains whatever jobs it is given, one after another, until
 * interrupted.
 */

import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import type { BackendChoice } from '../../engine/compute/compute.ts'
import { assert } from '../../protocols/core/assert.ts'
import { systemClock } from '../../protocols/core/clock.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import type { FirstAddressNews } from '../../protocols/discovery/index.ts'
import type { Jobs, SignedJob } from '../../protocols/jobs/index.ts'
import { type FoundSwarm, findSwarm } from '../network/coordinator-address.ts'
import { dialFailure } from '../network/dial-failure.ts'
import { type KeptHome, openHome, openSwarmNode, type SwarmNode } from '../network/swarm-node.ts'
import type { Ended } from '../peer/run-end.ts'
import { type ParticipationEvent, participate } from '../run/participate.ts'
import type { RunEnd } from '../run/run-events.ts'
import { TriedJobs } from '../run/tried-jobs.ts'
import { claimFolder } from '../storage/claimed-folder.ts'
import { dirsFor } from '../storage/dirs.ts'
import { blocksOfJob, type KeptBlocks } from '../storage/kept-blocks.ts'
import { loadSwarmKey } from '../storage/swarm-key.ts'
import type { CommonOptions, SwarmOptions } from './common-options.ts'
import { exitCodeOfError, exitCodeOfRun, exitCodes } from './exit-codes.ts'
import type { CliIo } from './io.ts'
import { type LogLine, processLog } from './process-log.ts'
import { failureOf } from './render-error.ts'

export interface NodeStartOptions extends CommonOptions, SwarmOptions {
  /** Multiaddrs to listen on. */
  listen: string[]
  /** Multiaddrs that others are told, when they differ from those listened on. */
  announce: string[]
  /** Look for peers on the local network. */
  mdns: boolean
  /** Threads for training, 1 to 256; `undefined`: half of the cores. */
  threads: number | undefined
  /** Memory that a step may take, MiB; `undefined`: no limit. */
  memory: number | undefined
  backend: BackendChoice
  /** Peer ids of owners whose jobs are run; empty: anybody's. */
  allowOwner: string[]
  /** Run only this job, and end with it. */
  job: string | undefined
}

/** With what the machine and its folders say. */
type RunningOptions = NodeStartOptions & { threads: number; swarm: FoundSwarm; runs: string }

/**
 * Whoever cannot reach this peer, because a router or a firewall is between them, comes over the coordinator's relay.
 */
const relayed = '/p2p-circuit'

export async function runNodeStart(options: NodeStartOptions, io: CliIo): Promise<number> {
  const log = options.json ? processLog(io, options) : forPeople(processLog(io, options))
  const swarm = await swarmOf(options, io)
  const threads = options.threads ?? Math.max(1, Math.floor(availableParallelism() / 2))
  const home = join(dirsFor(io.env).data, 'node')
  const kept = await openHome(home)
  const giveBack = await claimFolder(home)
  try {
    return await runNode({ ...options, threads, swarm, runs: join(home, 'runs') }, kept, log, io.signal)
  } finally {
    await giveBack()
  }
}

/** On a local network a peer needs no address to begin with. */
async function swarmOf({ mdns, coordinator, swarmKey }: NodeStartOptions, io: CliIo): Promise<FoundSwarm> {
  if (!mdns || coordinator.length > 0) return findSwarm({ coordinator, swarmKey }, io)
  const key = swarmKey === undefined ? undefined : await loadSwarmKey(resolve(io.cwd, swarmKey))
  return { addresses: [], key }
}

async function runNode(
  options: RunningOptions,
  kept: KeptHome,
  log: (line: LogLine) => void,
  signal: AbortSignal,
): Promise<number> {
  const node = await openSwarmNode({
    ...kept,
    listen: [...new Set([...options.listen, relayed])],
    announce: options.announce,
    bootstrap: options.swarm.addresses,
    swarmKey: options.swarm.key,
    mdns: options.mdns,
    self: {
      role: 'node',
      backend: options.backend,
      threads: options.threads,
      clientOnly: !isReachable(options),
    },
    admit: admitOnly(options),
  })
  log({ event: 'ready', peer: node.self, addresses: node.addresses() })
  // no reason to end either: it is dialled until it answers
  node.services.discovery.onFirstAddress((news) => log(lineOfFirst(news, options.swarm)))
  // no reason to end: whoever speaks another version may be updated, and others may speak this one
  node.services.versions.follow((mismatch) => log({ event: 'version_mismatch', ...failureOf(mismatch) }))
  try {
    return await takeJobs(options, node, kept.blocks, log, signal)
  } finally {
    await node.close()
    log({ event: 'stopped' })
  }
}

function lineOfFirst(news: FirstAddressNews, { key }: FoundSwarm): LogLine {
  const { address } = news
  if (news.kind === 'reached') return { event: 'reached', address }
  const failure = dialFailure({ addresses: [address], hasKey: key !== undefined, cause: news.cause })
  return { event: 'unreachable', ...failureOf(failure) }
}

/** Others can open connections to this peer without a relay's help, as far as it can know: it listens. */
function isReachable({ listen, announce }: NodeStartOptions): boolean {
  return [...listen, ...announce].some((address) => !address.includes(relayed))
}

/** Rounds can be shorter than reading a line: people get one of them every so often, programs get them all. */
const shownRoundMs = 5_000

/** What people want to read of the log; the rest is for programs. */
function forPeople(log: (line: LogLine) => void): (line: LogLine) => void {
  const hidden = new Set(['phase', 'averaging', 'fetching', 'refused'])
  let shownMs = Number.NEGATIVE_INFINITY
  return (line) => {
    if (hidden.has(line.event)) return
    const { electorate, contributors, ...rest } = line
    if (line.event === 'committed') {
      if (systemClock.now() - shownMs < shownRoundMs) return
      shownMs = systemClock.now()
    }
    log({ ...rest, updates: countOf(contributors), peers: countOf(electorate) })
  }
}

function countOf(list: unknown): number | undefined {
  return Array.isArray(list) ? list.length : undefined
}

async function takeJobs(
  options: RunningOptions,
  node: SwarmNode,
  blocks: KeptBlocks,
  log: (line: LogLine) => void,
  signal: AbortSignal,
): Promise<number> {
  const tried = new TriedJobs()
  while (true) {
    const signed = await nextJob(node, options.job, tried, signal)
    const { job, manifest } = signed
    log({ event: 'job', job, name: manifest.name, owner: manifest.owner })
    try {
      await blocks.makeRoom(
        manifest.model.bytes + manifest.data.bytes,
        await blocksOfJob(node.store, manifest),
      )
      const ended = await participate(
        {
          node,
          signed,
          backend: options.backend,
          threads: options.threads,
          runs: options.runs,
          memoryBytesMax: options.memory && options.memory * 2 ** 20,
          isClientOnly: !isReachable(options),
          onEvent: (event) => logEvent(log, job, event),
        },
        { signal },
      )
      const { end, reason } = endOf(ended)
      tried.end(job)
      log({ event: 'ended', job, end, reason })
      if (options.job !== undefined) return exitCodeOfRun(end)
    } catch (error) {
      if (signal.aborted) throw error
      const waitMs = tried.fail(job, error, systemClock.now())
      if (waitMs !== undefined) {
        log({ event: 'retrying', job, ...failureOf(error), retry_in_seconds: waitMs / 1000 })
      } else {
        log({ event: 'failed', job, ...failureOf(error), exit: exitCodes.jobFailed.code })
        if (options.job !== undefined) return exitCodeOfError(error)
      }
    }
  }
}

/**
 * The first open job that this peer may run; waits for one. `only`, if given, is taken also when it has ended: so does
 * this peer.
 */
async function nextJob(
  node: SwarmNode,
  only: string | undefined,
  tried: TriedJobs,
  signal: AbortSignal,
): Promise<SignedJob> {
  const { jobs } = node.services
  while (true) {
    const known = jobs.list()
    tried.keepOnly(known.map(({ job }) => job))
    const nowMs = systemClock.now()
    const open = known
      .filter(({ job, status }) => status === 'open' || job === only)
      .map(({ job }) => ({ job, waitMs: tried.waitMs(job, nowMs) }))
      .sort((a, b) => a.waitMs - b.waitMs)
    const [next] = open
    const record = next?.waitMs === 0 ? jobs.get(next.job) : undefined
    if (record !== undefined) return record
    await waitForJob(jobs, next?.waitMs ?? Number.POSITIVE_INFINITY, signal)
  }
}

/** Resolves when a job is added, or after `waitMs`. @throws {unknown} `signal.reason`. */
function waitForJob(jobs: Jobs, waitMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      off()
      stopTimer()
      signal.removeEventListener('abort', onAbort)
    }
    const onChange = () => {
      stop()
      resolve()
    }
    const onAbort = () => {
      stop()
      reject(signal.reason)
    }
    const off = jobs.on((notice) => {
      if (notice.kind === 'added') onChange()
    })
    const stopTimer = Number.isFinite(waitMs) ? systemClock.setTimer(waitMs, onChange) : () => {}
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}

function admitOnly({ allowOwner, job }: NodeStartOptions): (signed: SignedJob) => void {
  return (signed) => {
    if (job !== undefined && signed.job !== job)
      throw new SwarmError('REFUSED', `this peer runs job ${job} only`)
    if (allowOwner.length > 0 && !allowOwner.includes(signed.manifest.owner))
      throw new SwarmError('REFUSED', `this peer runs no jobs of owner ${signed.manifest.owner}`)
  }
}

function endOf(ended: Ended): { end: RunEnd; reason: string } {
  if (ended.kind !== 'verdict') return { end: ended.kind, reason: ended.reason }
  const { verdict, reason } = ended.verdict
  assert(verdict !== 'continue', 'only a final verdict ends a run')
  return { end: verdict, reason }
}

function logEvent(log: (line: LogLine) => void, job: string, event: ParticipationEvent): void {
  if (event.kind === 'averaging') logAveraging(log, job, event.event)
  else log({ ...lineOf(event), job })
}

function lineOf(event: Exclude<ParticipationEvent, { kind: 'averaging' }>): LogLine {
  switch (event.kind) {
    case 'phase':
      return { event: 'phase', round: event.round, phase: event.phase }
    case 'committed': {
      const { round, root, loss, totalWeight, contributors, electorate } = event
      return { event: 'committed', round, root, loss, total_weight: totalWeight, contributors, electorate }
    }
    case 'synced':
      return { event: 'synced', round: event.round, root: event.root }
    case 'loss-not-finite':
      return { event: 'loss_not_finite', round: event.round, message: event.error.message }
    case 'fetching': {
      const { blocks, blocksTotal, bytes } = event.progress
      return { event: 'fetching', what: event.what, blocks, blocks_total: blocksTotal, bytes }
    }
    case 'opened': {
      const { backend, parameterCount, notes } = event.model
      const note = notes.join('; ') || undefined
      return { event: 'opened', backend, parameters: parameterCount, note, seconds: event.seconds }
    }
  }
}

function logAveraging(
  log: (line: LogLine) => void,
  job: string,
  event: Extract<ParticipationEvent, { kind: 'averaging' }>['event'],
): void {
  if (event.kind === 'phase') log({ event: 'averaging', job, round: event.round, phase: event.phase })
  else if (event.kind === 'pledge-lost') log({ event: 'pledge_lost', job, reason: event.reason })
  else if (event.kind === 'refused') log({ event: 'refused', job, peer: event.peer, reason: event.reason })
  else {
    const { round, live, deciding, missing, expiresInMs } = event
    const seconds = Number.isFinite(expiresInMs) ? expiresInMs / 1000 : undefined
    const deciders = deciding.length
    log({ event: 'quorum_lost', job, round, live, deciders, missing, expires_in_seconds: seconds })
  }
}
