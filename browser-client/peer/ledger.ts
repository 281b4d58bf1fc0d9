/**
 * What a donation has come to, as the page sees it: takes what happens, one event at a time, and gives the snapshot.
 * Knows no libp2p and no clock; `donation-run.ts` tells it everything.
 */

import type { OpenedModel } from '../../engine/compute/compute.ts'
import type { SwarmError } from '../../protocols/core/errors.ts'
import { evaluationsMax } from '../../protocols/core/limits.ts'
import { type JobCard, jobCard } from '../../protocols/jobs/card.ts'
import type { Evaluation, Progress as Report, SignedJob, Verdict } from '../../protocols/jobs/index.ts'
import type {
  Contribution,
  DonationPhase,
  DonationSnapshot,
  LossPoint,
  PeerRow,
  Progress,
} from '../donation.ts'
import { firstSnapshot } from '../snapshot.ts'

/** Of the last committed round. */
export interface Committed {
  round: number
  loss: number | null
  totalWeight: number
  contributors: readonly { peer: string; weight: number }[]
}

/** Where kernels run, and why there: sentences for people. */
export type ChosenBackend = Pick<OpenedModel, 'backend' | 'notes'>

/** Counters that start from zero whenever the tab takes its part up again. */
type Counted = Pick<Report, 'samplesTrained' | 'uploadedBytes' | 'downloadedBytes'>

const nothingCounted: Counted = { samplesTrained: 0, uploadedBytes: 0, downloadedBytes: 0 }

export class Ledger {
  readonly #startedMs: number
  #snapshot: DonationSnapshot = firstSnapshot
  readonly #progress = new Map<Progress['what'], Progress>()
  readonly #curve = new Map<number, LossPoint>()
  /** Of earlier parts, and of this one. */
  #before = nothingCounted
  #now = nothingCounted
  #blocks = { bytesUp: 0, bytesDown: 0 }
  #hasCommitted = false
  #ownWeight = 0
  #runWeight = 0

  /** `startedMs`: of the click, by the clock whose times the events carry. */
  constructor(startedMs: number) {
    this.#startedMs = startedMs
  }

  /** Everything that is known now. */
  get snapshot(): DonationSnapshot {
    return this.#snapshot
  }

  opened(self: string): void {
    this.#set({ self, phase: 'connecting' })
  }

  enter(phase: DonationPhase, round?: number): void {
    this.#set({ phase, round: round ?? this.#snapshot.round })
  }

  learned(signed: SignedJob): JobCard {
    const job = jobCard(signed)
    this.#set({ job })
    return job
  }

  progress(progress: Progress): void {
    this.#progress.set(progress.what, progress)
    this.#set({ progress: [...this.#progress.values()] })
  }

  computesOn({ backend: name, notes }: ChosenBackend, threads: number): void {
    this.#progress.clear()
    this.#set({ backend: { name, threads, note: notes.join('; ') || null }, progress: [] })
  }

  stepped(nowMs: number): void {
    const { localSteps, firstStepMs } = this.#snapshot.contribution
    this.#contribute({
      localSteps: localSteps + 1,
      firstStepMs: firstStepMs ?? Math.round(nowMs - this.#startedMs),
    })
  }

  /** This tab's own report to the run. */
  reported({ samplesTrained, uploadedBytes, downloadedBytes, samplesPerSecond }: Report): void {
    if (samplesTrained < this.#now.samplesTrained || uploadedBytes < this.#now.uploadedBytes) {
      this.#before = sum(this.#before, this.#now)
    }
    this.#now = { samplesTrained, uploadedBytes, downloadedBytes }
    this.#contribute({ samplesPerSecond })
  }

  /** Bytes of blocks since the start. */
  exchanged(blocks: { bytesUp: number; bytesDown: number }): void {
    this.#blocks = blocks
    this.#contribute({})
  }

  committed({ round, loss, totalWeight, contributors }: Committed, nowMs: number): void {
    this.#hasCommitted = true
    this.#set({ mismatch: null })
    const own = contributors.find(({ peer }) => peer === this.#snapshot.self)?.weight ?? 0
    this.#ownWeight += own
    this.#runWeight += totalWeight
    this.#point(round, nowMs, { own: own > 0 ? loss : null })
    this.#contribute({
      roundsCommitted: this.#snapshot.contribution.roundsCommitted + (own > 0 ? 1 : 0),
      shareOfRun: this.#runWeight > 0 ? this.#ownWeight / this.#runWeight : null,
    })
  }

  evaluated({ round, loss, accuracy }: Evaluation, nowMs: number): void {
    this.#point(round, nowMs, { heldOut: loss, accuracy })
  }

  judged({ verdict, reason, rounds }: Verdict): void {
    this.#set({ verdict: { verdict, reason, round: rounds } })
  }

  met(peers: readonly PeerRow[], isConnected: boolean): void {
    this.#set({ peers, isConnected })
  }

  /** Of a tab that has made rounds with the others, whoever differs is the one to say so. */
  differs(mismatch: SwarmError): void {
    if (!this.#hasCommitted) this.#set({ mismatch })
  }

  failed(failure: SwarmError): void {
    this.#set({ failure })
  }

  #point(round: number, nowMs: number, values: Partial<LossPoint>): void {
    const known = this.#curve.get(round)
    const seconds = known?.seconds ?? Math.max(0, (nowMs - this.#startedMs) / 1000)
    const none = { heldOut: null, accuracy: null, own: null }
    this.#curve.set(round, { ...none, ...known, round, seconds, ...values })
    const [oldest] = this.#curve.keys()
    if (this.#curve.size > evaluationsMax) this.#curve.delete(oldest!)
    this.#set({ curve: [...this.#curve.values()].sort((a, b) => a.round - b.round) })
  }

  #contribute(change: Partial<Contribution>): void {
    const total = sum(this.#before, this.#now)
    const contribution = {
      ...this.#snapshot.contribution,
      samples: total.samplesTrained,
      bytesUp: total.uploadedBytes + this.#blocks.bytesUp,
      bytesDown: total.downloadedBytes + this.#blocks.bytesDown,
      ...change,
    }
    this.#set({ contribution })
  }

  #set(change: Partial<DonationSnapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...change }
  }
}

function sum(a: Counted, b: Counted): Counted {
  return {
    samplesTrained: a.samplesTrained + b.samplesTrained,
    uploadedBytes: a.uploadedBytes + b.uploadedBytes,
    downloadedBytes: a.downloadedBytes + b.downloadedBytes,
  }
}
