/**
 * Jobs over libp2p: gossip and streams become events of the machine, its notices go to listeners.
 *
 * Gossip is quick but forgets; so each peer also compares its list of jobs with a peer that connects, and from time to
 * time with a random one, and fetches what it lacks. Anything signed is verified before the machine sees it, a bounded
 * number at a time. What is decided about jobs is in machine.ts; how peers ask and are answered is in remote.ts and
 * answers.ts.
 */

import type { GossipSub, Message } from '@libp2p/gossipsub'
import type { Connection, PrivateKey, Startable, Stream } from '@libp2p/interface'
import { type Clock, systemClock } from '../core/clock.ts'
import { isAbort, SwarmError } from '../core/errors.ts'
import { jobsAnsweringMax, jobsCheckingMax, jobsCompareMs } from '../core/limits.ts'
import { type Random, seededRandom, seedFrom } from '../core/random.ts'
import type { PeerComponents } from '../wire/components.ts'
import { answerOn } from './answers.ts'
import { Comparison } from './comparison.ts'
import { type JobsInput, type JobsState, step } from './machine.ts'
import {
  decodeAnnounce,
  decodeRunMessage,
  encodeAnnounce,
  encodeStatement,
  type JobSummary,
  jobsProtocol,
  jobsTopic,
  type Progress,
  runMessageKind,
  runTopic,
} from './messages.ts'
import { type JobNotice, type JobRecord, recalled, summaryOf } from './record.ts'
import { type RemoteJobs, remoteJobs } from './remote.ts'
import { roomFor } from './room.ts'
import { RunTopics, readableBy } from './run-topics.ts'
import { openManifest, openStatement, type SignedJob, type SignedStatement, sealStatement } from './signed.ts'
import type { Statement } from './statement.ts'

export interface JobsComponents extends PeerComponents {
  pubsub: GossipSub
  privateKey: PrivateKey
}

export interface JobsInit {
  /**
   * Throws SwarmError (REFUSED) for a job that this peer wants nothing to do with, such as one of an owner that the
   * donor does not allow. Default: every valid job is taken up.
   */
  admit?: (signed: SignedJob) => void
  /** Where browsers can join the run of a job; told to whoever submits it. Default: nowhere. */
  linkTo?: (job: string) => string | undefined
  clock?: Clock
  /** Milliseconds since 1970. Default: the system's clock. */
  epochMs?: () => number
  /** Picks whom to compare lists with. Default: seeded from this peer's id. */
  random?: Random
}

export type JobListener = (notice: JobNotice) => void

export class JobsService implements Startable {
  readonly #components: JobsComponents
  readonly #self: string
  readonly #admit: (signed: SignedJob) => void
  readonly #linkTo: (job: string) => string | undefined
  readonly #clock: Clock
  readonly #epochMs: () => number
  readonly #random: Random
  readonly #state: JobsState = new Map()
  readonly #topics: RunTopics
  readonly #comparison: Comparison
  readonly #listeners = new Set<JobListener>()
  /** Connected peers that speak the protocol. */
  readonly #neighbours = new Set<string>()
  /** Gossiped messages being verified. */
  #checking = 0
  readonly #comparing = new Set<string>()
  /** Streams on which others ask. */
  #answering = 0
  #stopping = new AbortController()
  #topologyId: string | undefined
  #cancelTimer: (() => void) | undefined

  constructor(components: JobsComponents, init: JobsInit = {}) {
    this.#components = components
    this.#self = components.peerId.toString()
    this.#admit = init.admit ?? (() => {})
    this.#linkTo = init.linkTo ?? (() => undefined)
    this.#clock = init.clock ?? systemClock
    this.#epochMs = init.epochMs ?? (() => Date.now())
    this.#random = init.random ?? seededRandom(seedFrom(this.#self, 'jobs'))
    this.#comparison = new Comparison({
      get: (job) => this.#state.get(job),
      hasRoom: (job) => roomFor(this.#state.values(), job).kind !== 'none',
      takeUp: (signed, from, said) => this.#takeUp(signed, from, said),
    })
    this.#topics = new RunTopics(components.pubsub, (error) => this.#tell(refusal(this.#self, error)))
  }

  /** Called by libp2p. */
  async start(): Promise<void> {
    this.#stopping = new AbortController()
    const { registrar, pubsub } = this.#components
    await registrar.handle(jobsProtocol, this.#answer, { runOnLimitedConnection: true })
    this.#topologyId = await registrar.register(jobsProtocol, {
      notifyOnLimitedConnection: true,
      onConnect: (peer) => {
        this.#neighbours.add(peer.toString())
        void this.#compareWith(peer.toString())
      },
      onDisconnect: (peer) => {
        this.#neighbours.delete(peer.toString())
      },
    })
    pubsub.topicValidators.set(jobsTopic, readableBy(decodeAnnounce))
    pubsub.addEventListener('message', this.#onGossip)
    this.#schedule()
  }

  /** Called by libp2p when every service has started: before, gossipsub takes no subscription. */
  afterStart(): void {
    this.#components.pubsub.subscribe(jobsTopic)
  }

  /** Called by libp2p. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#cancelTimer?.()
    this.#components.pubsub.removeEventListener('message', this.#onGossip)
    this.#components.pubsub.topicValidators.delete(jobsTopic)
    if (this.#topologyId !== undefined) this.#components.registrar.unregister(this.#topologyId)
    await this.#components.registrar.unhandle(jobsProtocol)
  }

  /**
   * Takes up a job and tells the swarm.
   * @throws {SwarmError} when it is not valid: SIGNATURE_INVALID, JOB_INVALID, EXPIRED, LIMIT_EXCEEDED, or REFUSED by
   * `admit`.
   */
  async announce(envelope: Uint8Array): Promise<SignedJob> {
    const signed = await openManifest(envelope)
    this.#takeUp(signed, this.#self)
    await this.#components.pubsub.publish(jobsTopic, encodeAnnounce(envelope))
    return signed
  }

  /**
   * Takes up a job of an earlier life of this peer, with what had been signed about it.
   * @throws {SwarmError} when it no longer holds: EXPIRED, and whatever else {@link announce} throws.
   */
  async recall(envelope: Uint8Array, statements: readonly Uint8Array[]): Promise<void> {
    const signed = await openManifest(envelope)
    const said = await Promise.all(statements.map((statement) => openStatement(statement)))
    this.#takeUp(signed, this.#self, said)
  }

  /** The jobs known here, ended ones included. */
  list(): JobSummary[] {
    return [...this.#state.values()].map(summaryOf)
  }

  /** What is known of a job; it changes as news come in. */
  get(job: string): Readonly<JobRecord> | undefined {
    return this.#state.get(job)
  }

  /** Calls `listener` for everything that happens to any job; progress comes only for runs that are followed. */
  on(listener: JobListener): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /**
   * Listens to the run of a known job: first what is known by now, then whatever comes. The returned function ends it.
   * @throws {SwarmError} NOT_FOUND when the job is not known here.
   */
  follow(job: string, listener: JobListener): () => void {
    for (const notice of recalled(this.#known(job))) listener(notice)
    const leave = this.#topics.join(job)
    const off = this.on((notice) => {
      if (notice.kind !== 'refused' && notice.job === job) listener(notice)
    })
    return () => {
      off()
      leave()
    }
  }

  /**
   * Tells the run how this peer does. Returns at once; of reports that come faster than they can be sent, the newest
   * goes.
   */
  publishProgress(job: string, report: Omit<Progress, 'at'>): void {
    const progress = { ...report, at: this.#epochMs() }
    this.#step({ kind: 'ProgressReceived', job, peer: this.#self, progress, nowMs: progress.at })
    this.#topics.send(job, progress)
  }

  /**
   * Signs an evaluation or a verdict with this node's key, and tells the run.
   * @throws {SwarmError} NOT_FOUND; REFUSED when the job's manifest does not name this peer for it.
   */
  async publishStatement(statement: Statement): Promise<void> {
    await this.#passOn(await sealStatement(statement, this.#components.privateKey))
  }

  /** Questions to one peer, which is dialed if need be. */
  requestFrom(peer: string): RemoteJobs {
    return remoteJobs(this.#components, peer)
  }

  #known(job: string): JobRecord {
    const record = this.#state.get(job)
    if (record !== undefined) return record
    throw new SwarmError('NOT_FOUND', `job ${job} is not known here`, {
      hint: 'See `starling list` for the jobs.',
    })
  }

  #step(input: JobsInput): JobNotice[] {
    const notices = step(this.#state, input)
    for (const notice of notices) this.#tell(notice)
    return notices
  }

  #tell(notice: JobNotice): void {
    for (const listener of [...this.#listeners]) listener(notice)
  }

  /**
   * Takes up a job, if it is not known, and what was `said` about it. Whoever hears of the job finds it as it stands,
   * so that one that has ended is not begun again.
   * @throws {SwarmError} when the machine or `admit` refuses the job.
   */
  #takeUp(signed: SignedJob, from: string, said: readonly SignedStatement[] = []): void {
    if (!this.#state.has(signed.job)) this.#admit(signed)
    const nowMs = this.#epochMs()
    const notices = this.#state.has(signed.job)
      ? said.flatMap((signed) => step(this.#state, { kind: 'StatementOpened', signed, from }))
      : step(this.#state, { kind: 'ManifestOpened', signed, said, from, nowMs })
    for (const notice of notices) this.#tell(notice)
    if (!this.#state.has(signed.job)) orThrow(notices)
  }

  /** Applies a statement made here or handed over, and gossips it. @throws {SwarmError} when it is not allowed. */
  async #passOn(signed: SignedStatement): Promise<void> {
    orThrow(this.#step({ kind: 'StatementOpened', signed, from: this.#self }))
    await this.#components.pubsub.publish(runTopic(signed.statement.job), encodeStatement(signed.envelope))
  }

  readonly #onGossip = ({ detail }: CustomEvent<Message>): void => {
    if (detail.type !== 'signed') return
    const { topic, data } = detail
    const from = detail.from.toString()
    const job = this.#topics.jobOf(topic)
    if (topic === jobsTopic) void this.#check(from, () => this.#takeAnnounce(data, from))
    else if (job !== undefined) void this.#check(from, () => this.#takeRunMessage(job, data, from))
  }

  async #takeAnnounce(data: Uint8Array, from: string): Promise<void> {
    this.#takeUp(await openManifest(decodeAnnounce(data)), from)
  }

  async #takeRunMessage(job: string, data: Uint8Array, from: string): Promise<void> {
    const message = decodeRunMessage(data)
    if (message.kind === runMessageKind.progress) {
      const { progress } = message
      this.#step({ kind: 'ProgressReceived', job, peer: from, progress, nowMs: this.#epochMs() })
    } else this.#step({ kind: 'StatementOpened', signed: await openStatement(message.envelope), from })
  }

  /** Verifies what `from` gossiped. A flood beyond the limit is dropped. */
  async #check(from: string, work: () => Promise<void>): Promise<void> {
    if (this.#checking >= jobsCheckingMax) {
      this.#tell(refusal(from, new SwarmError('LIMIT_EXCEEDED', 'too many messages about jobs at one time')))
      return
    }
    this.#checking++
    await this.#orTell(from, work).finally(() => this.#checking--)
  }

  /** Does `work` on something that `from` sent, and tells when it is refused. */
  async #orTell(from: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      const failures: unknown[] = error instanceof AggregateError ? error.errors : [error]
      for (const failure of failures) {
        if (!(failure instanceof SwarmError) && !isAbort(failure)) throw failure
        if (!this.#stopping.signal.aborted) this.#tell(refusal(from, failure))
      }
    }
  }

  #schedule(): void {
    this.#cancelTimer = this.#clock.setTimer(jobsCompareMs, () => {
      this.#step({ kind: 'TimePassed', nowMs: this.#epochMs() })
      const neighbours = [...this.#neighbours]
      const peer = neighbours[this.#random.integer(Math.max(1, neighbours.length))]
      // one at a time with each: a peer that answers slowly may hold one for as long as all its answers take
      if (peer !== undefined && !this.#comparing.has(peer)) void this.#compareWith(peer)
      this.#schedule()
    })
  }

  async #compareWith(peer: string): Promise<void> {
    const { signal } = this.#stopping
    this.#comparing.add(peer)
    await this.#orTell(peer, () => this.#comparison.with(peer, this.requestFrom(peer), { signal })).finally(
      () => this.#comparing.delete(peer),
    )
  }

  readonly #answer = async (stream: Stream, connection: Connection): Promise<void> => {
    const peer = connection.remotePeer.toString()
    if (this.#answering >= jobsAnsweringMax) {
      stream.abort(new SwarmError('LIMIT_EXCEEDED', 'too many questions about jobs at one time'))
      return
    }
    const desk = {
      list: () => this.list(),
      known: (job: string) => this.#known(job),
      linkTo: this.#linkTo,
      submit: async (envelope: Uint8Array) => (await this.announce(envelope)).job,
      stop: async (envelope: Uint8Array) => {
        const signed = await openStatement(envelope)
        await this.#passOn(signed)
        return signed.statement.job
      },
    }
    this.#answering++
    await this.#orTell(peer, () => answerOn(stream, peer, desk, this.#clock)).finally(() => this.#answering--)
  }
}

/** @throws {SwarmError} what the machine refused. */
function orThrow(notices: readonly JobNotice[]): void {
  for (const notice of notices) {
    if (notice.kind === 'refused') throw new SwarmError(notice.code, notice.reason, { hint: notice.hint })
  }
}

function refusal(from: string, error: unknown): JobNotice {
  const reason = error instanceof Error ? error.message : String(error)
  return {
    kind: 'refused',
    from,
    code: error instanceof SwarmError ? error.code : 'PEER_UNREACHABLE',
    reason,
  }
}
