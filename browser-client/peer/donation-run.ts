/**
 * One donation, from the click to the goodbye:
 *
 *     connecting ──▶ downloading ──▶ preparing ──▶ in the run ⇄ paused ──▶ leaving ──▶ ended
 *                                                  (waiting, syncing, training, averaging)
 *
 * A pause leaves the run, so that nobody waits for this tab, and keeps what was prepared; the tab goes on serving
 * blocks. What the donor allows comes in through {@link Donation}; what happens goes out through a {@link Reporter}.
 */

import { type PreparedJob, type PrepareEvent, prepareJob } from '../../node/peer/prepare.ts'
import { type EndListener, listenForEnd } from '../../node/peer/run-end.ts'
import { type PartEvent, takePart } from '../../node/peer/take-part.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import { tabStepBytesMax } from '../../protocols/core/limits.ts'
import type { Manifest, SignedJob } from '../../protocols/jobs/index.ts'
import type { BlockStore } from '../../protocols/shards/index.ts'
import type { Donation, DonationInit, DonationPhase, WorkLimits } from '../donation.ts'
import type { Program } from '../program.ts'
import { loadOrCreateIdentity } from '../storage/identity.ts'
import { type JobBlocks, makeRoom, openJobBlocks } from '../storage/job-blocks.ts'
import { type KeptJob, keepAddresses, keptJob } from '../storage/kept-jobs.ts'
import { CurrentRound } from './current-round.ts'
import { DonatedCompute } from './donated-compute.ts'
import { openTabPeer, type TabPeer } from './network.ts'
import { quorumText } from './quorum-text.ts'
import { Reporter } from './reporter.ts'
import { waitForJob } from './wait-for-job.ts'
import { type WorkerClock, workerClock } from './worker-clock.ts'

/**
 * `finish` waits this long for the round to end: past it the others are stuck, and the donor is not to wait for them.
 */
const finishMsMax = 30_000

/** What Stop may take: goodbyes that have not gone out by then do not go out. */
const stopMsMax = 800

/** What the page hands over at the click. */
export interface PeerInit extends DonationInit {
  program: Program
  /** When the donor clicked, by `performance.now()`. */
  clickedMs: number
}

export class DonationRun implements Donation {
  readonly #init: PeerInit
  readonly #clock: WorkerClock
  readonly #reporter: Reporter
  readonly #stopping = new AbortController()
  #limits: WorkLimits
  /** What an earlier visit has left of the job. */
  readonly #kept: Promise<KeptJob | undefined>
  readonly #compute: DonatedCompute
  #peer: TabPeer | undefined
  /** Aborts the part that the tab takes in the run, when it has to pause. */
  #pausing = new AbortController()
  #mayRun = Promise.withResolvers<void>()
  readonly #round = new CurrentRound()
  #hasCommitted = false

  /** Settles when the donation is over and nothing of it is left. */
  readonly ended: Promise<void>

  constructor(init: PeerInit) {
    this.#init = init
    this.#limits = init.limits
    if (init.limits.mayRun) this.#mayRun.resolve()
    this.#clock = workerClock(new URL(init.program.entries.timerWorker, document.baseURI))
    this.#reporter = new Reporter({ ...init, clock: this.#clock })
    this.#kept = keptJob(init.invitation.job)
    this.#compute = this.#lendCompute()
    addEventListener('pagehide', this.#onPageHide)
    if (init.limits.savesData) this.#tellSaving()
    this.ended = this.#run()
  }

  limit(limits: WorkLimits): void {
    const { mayRun, savesData } = this.#limits
    this.#limits = limits
    if (limits.savesData !== savesData) this.#tellSaving()
    this.#compute.limit(limits)
    if (limits.mayRun === mayRun) return
    if (limits.mayRun) {
      this.#pausing = new AbortController()
      this.#mayRun.resolve()
    } else {
      this.#mayRun = Promise.withResolvers()
      this.#pausing.abort()
    }
  }

  async finish(): Promise<void> {
    this.#reporter.log('info', 'Leaving after this round.')
    const { promise: isLate, resolve: tellLate } = Promise.withResolvers<void>()
    const stopTimer = this.#clock.setTimer(finishMsMax, tellLate)
    await Promise.race([this.#round.ended, isLate, this.ended])
    stopTimer()
    this.#stopping.abort()
    await this.ended
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#compute.kill()
    await this.ended
  }

  readonly #onPageHide = (): void => void this.stop()

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    const opening = openJobBlocks(this.#init.invitation.job)
    try {
      const blocks = await untilAborted(opening, signal)
      if (!blocks.isKept)
        this.#reporter.log('warning', 'This browser keeps no files: a reload loads all again.')
      const peer = await this.#connect(blocks.store)
      const signed = await waitForJob(peer, this.#init.invitation.job, { clock: this.#clock, signal })
      this.#reporter.job(signed)
      await this.#takePart(peer, signed)
    } catch (error) {
      if (!signal.aborted) this.#reporter.fail(error)
    } finally {
      removeEventListener('pagehide', this.#onPageHide)
      await this.#leave(opening)
      this.#clock.close()
    }
  }

  /** The kernels begin to load before anybody is reached: that is most of what a donor waits for. */
  #lendCompute(): DonatedCompute {
    const { program, invitation, limits } = this.#init
    const reporter = this.#reporter
    return new DonatedCompute({
      program,
      clock: this.#clock,
      job: invitation.job,
      limits,
      kept: this.#kept,
      signal: this.#stopping.signal,
      onRuntime: (bytes, bytesTotal) => reporter.progress({ what: 'runtime', bytes, bytesTotal }),
      onTrouble: (error) => reporter.log('warning', error instanceof Error ? error.message : String(error)),
      onStep: () => reporter.stepped(),
      onChosen: (backend, threads, death) => {
        if (death !== undefined) reporter.log('warning', `${death.message}. Another worker has taken over.`)
        reporter.computesOn(backend, threads)
      },
    })
  }

  async #connect(store: BlockStore): Promise<TabPeer> {
    const { invitation, limits } = this.#init
    const { signal } = this.#stopping
    const kept = await untilAborted(this.#kept, signal)
    const peer = await openTabPeer({
      key: await untilAborted(loadOrCreateIdentity(), signal),
      swarmKey: invitation.swarmKey,
      store,
      clock: this.#clock,
      bootstrap: [...new Set([...invitation.addresses, ...(kept?.addresses ?? [])])],
      self: { role: 'tab', backend: 'auto', threads: limits.threads, clientOnly: false },
      admit: ({ job }) => {
        if (job !== invitation.job)
          throw new SwarmError('REFUSED', `this tab runs job ${invitation.job} only`)
      },
      updateHere: 'Reload the page to get its newest version.',
    })
    this.#peer = peer
    this.#reporter.watch(peer)
    await this.#recall(peer)
    return peer
  }

  /** What was signed is known from an earlier visit: the job is made ready while the swarm is looked for. */
  async #recall({ services }: TabPeer): Promise<void> {
    const envelope = (await this.#kept)?.envelope
    if (envelope === undefined) return
    // one that holds no longer is forgotten; whoever is reached says what became of it
    await services.jobs.recall(envelope, []).catch(() => {})
  }

  /** Prepares the job and takes part in its run, until that ends or the donor stops. */
  async #takePart(peer: TabPeer, signed: SignedJob): Promise<void> {
    const { services } = peer
    const end = listenForEnd({ signed, jobs: services.jobs, clock: this.#clock, epochMs: Date.now })
    const signal = AbortSignal.any([this.#stopping.signal, end.signal])
    try {
      const prepared = await this.#prepare(peer, signed, signal)
      while (true) await this.#part(peer, prepared, signal)
    } catch (error) {
      if (end.ended === undefined || this.#stopping.signal.aborted) throw error
      this.#tellEnd(end)
    } finally {
      end.close()
    }
  }

  async #prepare(peer: TabPeer, signed: SignedJob, signal: AbortSignal): Promise<PreparedJob> {
    const { manifest, job, envelope } = signed
    this.#reporter.enter('downloading')
    const bytes = manifest.model.bytes + manifest.data.bytes
    for (const gone of await makeRoom(job, bytes, envelope))
      this.#reporter.log('info', `Made room: job ${gone} is gone.`)
    return prepareJob(
      {
        peer,
        signed,
        compute: this.#compute.compute,
        backend: 'auto',
        threads: this.#limits.threads,
        memoryBytesMax: tabStepBytesMax,
        clock: this.#clock,
        onEvent: (event) => this.#onPrepare(event, manifest),
      },
      { signal },
    )
  }

  /** Takes part until the donor pauses; then waits until the donor goes on. */
  async #part(peer: TabPeer, prepared: PreparedJob, signal: AbortSignal): Promise<void> {
    await untilAborted(this.#mayRun.promise, signal)
    const pause = this.#pausing.signal
    try {
      const onEvent = (event: PartEvent) => this.#onPart(event)
      const either = AbortSignal.any([signal, pause])
      const savesData = () => this.#limits.savesData
      await takePart({ peer, prepared, clock: this.#clock, savesData, onEvent }, { signal: either })
    } catch (error) {
      if (signal.aborted || !pause.aborted) throw error
    } finally {
      this.#round.leave()
    }
    this.#reporter.enter('paused')
  }

  #onPrepare(event: PrepareEvent, manifest: Manifest): void {
    if (event.kind === 'fetching') {
      const { what, progress } = event
      const bytesTotal = manifest[what].bytes
      const bytes = Math.round((bytesTotal * progress.blocks) / progress.blocksTotal)
      this.#reporter.progress({ what, bytes, bytesTotal })
      if (what === 'data' && progress.blocks === progress.blocksTotal) this.#reporter.enter('preparing')
    } else this.#reporter.fetched(manifest)
  }

  #onPart(event: PartEvent): void {
    if (event.kind === 'phase') {
      this.#reporter.enter(phaseOf(event.phase), event.round)
      this.#round.enter(event.phase)
    } else if (event.kind === 'committed') {
      if (!this.#hasCommitted) void this.#keepAddresses()
      this.#hasCommitted = true
      this.#reporter.committed(event)
      this.#round.commit()
    } else if (event.kind === 'loss-not-finite') this.#reporter.log('warning', event.error.message)
    else if (event.kind === 'averaging' && event.event.kind === 'quorum-lost')
      this.#reporter.log('warning', quorumText(event.event))
  }

  /** Where nodes of this run can be dialled: the next visit begins with them. */
  async #keepAddresses(): Promise<void> {
    const nodes = this.#peer?.services.discovery.peers().filter(({ role }) => role === 'node') ?? []
    const dialled = nodes.flatMap(({ addresses }) => addresses.filter(isDialledDirectly).slice(0, 1))
    await keepAddresses(this.#init.invitation.job, dialled)
  }

  #tellSaving(): void {
    const text = this.#limits.savesData
      ? 'Saving data: updates are made smaller from now on, and nothing is summed for others.'
      : 'Saving no data any more: updates are whole again.'
    this.#reporter.log('info', text)
  }

  #tellEnd({ ended }: EndListener): void {
    if (ended?.kind === 'verdict') this.#reporter.judged(ended.verdict)
    else if (ended !== undefined) this.#reporter.log('info', `The run is over: ${ended.reason}.`)
  }

  async #leave(opening: Promise<JobBlocks>): Promise<void> {
    this.#reporter.leave()
    const { promise: isLate, resolve: tellLate } = Promise.withResolvers<void>()
    const stopTimer = this.#clock.setTimer(stopMsMax, tellLate)
    const left = Promise.allSettled([this.#peer?.close(), this.#compute.close()])
    const closed = left.then(() => opening).then((blocks) => blocks.close())
    await Promise.race([isLate, Promise.allSettled([closed])])
    stopTimer()
    this.#compute.kill()
    this.#reporter.close()
  }
}

/** The donor's word for a phase of the run. */
function phaseOf(phase: Extract<PartEvent, { kind: 'phase' }>['phase']): DonationPhase {
  return phase === 'finished' ? 'waiting' : phase
}

/** WebSockets, to the peer itself: what a page can dial. */
function isDialledDirectly(address: string): boolean {
  return /\/wss?(\/|$)/.test(address) && !address.includes('/p2p-circuit')
}

/** `promise`, or the reason of `signal` when that comes first. */
function untilAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
