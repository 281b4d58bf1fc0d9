/**
 * Tells the page what a donation does: gathers what happens in a {@link Ledger}, looks at the peers, and hands out
 * snapshots at the rate that the page can use.
 */

import type { Clock } from '../../protocols/core/clock.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import type { JobNotice, Manifest, SignedJob, Verdict } from '../../protocols/jobs/index.ts'
import type { DonationInit, DonationPhase, LogEntry, Progress } from '../donation.ts'
import type { Threads } from './donated-compute.ts'
import { type ChosenBackend, type Committed, Ledger } from './ledger.ts'
import type { TabPeer } from './network.ts'
import { peerRows } from './peer-rows.ts'

/** Between two snapshots: ten a second. */
const snapshotGapMs = 100

/** The longest silence: half of what the page takes for a peer that hangs. */
const snapshotMsMax = 1_000

/** Why a page gets one thread. */
const oneThread = 'this page is not isolated from others, so the browser gives it one thread'

export interface ReporterInit extends Pick<DonationInit, 'invitation' | 'onSnapshot' | 'onLog'> {
  clickedMs: number
  clock: Clock
}

export class Reporter {
  readonly #init: ReporterInit
  readonly #ledger: Ledger
  #peer: TabPeer | undefined
  #sentMs = Number.NEGATIVE_INFINITY
  #stopTimer = () => {}
  #unfollow = () => {}
  #unfollowVersions = () => {}

  constructor(init: ReporterInit) {
    this.#init = init
    this.#ledger = new Ledger(init.clickedMs)
    this.#send()
  }

  /** From now on the peers are looked at before each snapshot. */
  watch(peer: TabPeer): void {
    this.#peer = peer
    this.#ledger.opened(peer.self)
    this.log('info', `This tab is peer ${peer.self}.`)
    this.#unfollowVersions = peer.services.versions.follow((mismatch) => this.#differs(mismatch))
  }

  /** The job is known: its card, and what is said about its run. */
  job(signed: SignedJob): void {
    const { name, owner } = this.#ledger.learned(signed)
    this.log('info', `The job is "${name}" of ${owner}.`)
    this.#unfollow =
      this.#peer?.services.jobs.follow(signed.job, (notice) => this.#onNotice(notice)) ?? (() => {})
    this.#changed()
  }

  enter(phase: DonationPhase, round?: number): void {
    this.#ledger.enter(phase, round)
    this.#changed()
  }

  progress(progress: Progress): void {
    this.#ledger.progress(progress)
    this.#changed()
  }

  /** Model and data are here: says what came over the network, and what an earlier visit had left. */
  fetched({ model, data }: Manifest): void {
    const bytes = this.#peer?.services.shards.stats.bytesDown ?? 0
    const kept = Math.max(0, model.bytes + data.bytes - bytes)
    const text = (value: number) => value.toLocaleString('en-US')
    this.log(
      'info',
      `Model and data: ${text(bytes)} bytes fetched, ${text(kept)} from this browser's storage.`,
    )
  }

  /** The backend that was chosen, or changed to. */
  computesOn(backend: ChosenBackend, { asked, got }: Threads): void {
    const isAlone = backend.backend === 'wasm' && got < asked && !crossOriginIsolated
    const notes = isAlone ? [...backend.notes, oneThread] : backend.notes
    this.#ledger.computesOn({ ...backend, notes }, got)
    this.#peer?.services.discovery.setSelf({ backend: backend.backend, threads: got })
    this.log('info', [`Computes on ${backend.backend}.`, ...notes.map(sentence)].join(' '))
  }

  stepped(): void {
    this.#ledger.stepped(this.#init.clock.now())
    this.#changed()
  }

  committed(round: Committed): void {
    this.#ledger.committed(round, this.#init.clock.now())
    this.#changed()
  }

  judged(verdict: Verdict): void {
    this.#ledger.judged(verdict)
    this.log('info', `The run is over: ${verdict.verdict}. ${verdict.reason}`)
  }

  /** What ended the donation. A bug is told as one, and thrown on where the browser's console shows it. */
  fail(error: unknown): void {
    const failure =
      error instanceof SwarmError
        ? error
        : new SwarmError('BACKEND_FAILED', `the tab's peer broke: ${String(error)}`, {
            cause: error,
            hint: 'Reload the page; if it happens again, tell us.',
          })
    this.#ledger.failed(failure)
    this.log('error', failure.message)
    if (!(error instanceof SwarmError)) reportError(error)
  }

  log(level: LogEntry['level'], text: string): void {
    this.#init.onLog({ atMs: Date.now(), level, text })
    this.#changed()
  }

  /** The peer is about to stop: from now on it is asked nothing. */
  leave(): void {
    this.#unfollow()
    this.#unfollowVersions()
    this.#peer = undefined
    this.enter('leaving')
  }

  /** Tells the end, and then nothing more. */
  close(): void {
    this.#stopTimer()
    this.#ledger.enter('ended')
    this.#ledger.met([], false)
    this.#init.onSnapshot(this.#ledger.snapshot)
  }

  #differs(mismatch: SwarmError): void {
    this.#ledger.differs(mismatch)
    this.log('warning', [sentence(mismatch.message), mismatch.hint].join(' '))
  }

  #onNotice(notice: JobNotice): void {
    const nowMs = this.#init.clock.now()
    if (notice.kind === 'evaluation') this.#ledger.evaluated(notice.evaluation, nowMs)
    else if (notice.kind === 'progress' && notice.peer === this.#peer?.self)
      this.#ledger.reported(notice.progress)
    this.#changed()
  }

  /** A snapshot follows soon. */
  #changed(): void {
    const waitMs = Math.max(0, this.#sentMs + snapshotGapMs - this.#init.clock.now())
    this.#schedule(waitMs)
  }

  #schedule(delayMs: number): void {
    this.#stopTimer()
    this.#stopTimer = this.#init.clock.setTimer(delayMs, () => this.#send())
  }

  #send(): void {
    this.#sentMs = this.#init.clock.now()
    const peer = this.#peer
    if (peer !== undefined) {
      this.#ledger.met(peerRows(peer, this.#init.invitation.job), peer.libp2p.getConnections().length > 0)
      this.#ledger.exchanged({
        bytesUp: peer.services.shards.stats.bytesUp,
        bytesDown: peer.services.shards.stats.bytesDown,
      })
    }
    this.#init.onSnapshot(this.#ledger.snapshot)
    this.#schedule(snapshotMsMax)
  }
}

function sentence(note: string): string {
  return `${note.charAt(0).toUpperCase()}${note.slice(1)}${note.endsWith('.') ? '' : '.'}`
}
