/**
 * What the page knows and what its buttons do: everything but the looks.
 *
 *     looking ──card──▶ offered ──Start──▶ giving ──┬─Finish, Stop, run over──▶ over ──Again──▶ looking
 *        └──no card──▶ failed ◀──────failure────────┘
 *
 * State is signals, which the components read; whoever makes a page passes in time, storage and the network, so all of
 * this runs without a browser. The governor's allowance is passed to the donation whenever it changes. Nothing but
 * {@link DonorPage.start} loads or starts the peer, and only a click calls it.
 */

import { computed, effect, type ReadonlySignal, type Signal, signal } from '@preact/signals'
import { SwarmError } from '../../protocols/core/errors.ts'
import type { JobCard } from '../../protocols/jobs/card.ts'
import type {
  Donation,
  DonationSnapshot,
  Invitation,
  LogEntry,
  StartDonation,
  WorkLimits,
} from '../donation.ts'
import {
  type Allowance,
  allowanceOf,
  type Calendar,
  type DataDay,
  decodeDataDay,
  type GovernorEvent,
  type GovernorState,
  governor,
  newGovernor,
} from '../governor/machine.ts'
import { decodeSettings, defaultSettings, type GovernorSettings } from '../governor/settings.ts'
import { type Consent, consentFor, giveConsent, withdrawConsent } from './consent.ts'
import { afterHearing, type Heard, nothingHeard, type Staleness, stalenessOf } from './freshness.ts'
import { readInvitation } from './invitation.ts'
import type { Kept } from './kept.ts'
import { type LogLine, withLine } from './log-buffer.ts'

/** How a donation ended without failing. */
export type Ending = 'finished' | 'stopped' | 'run-over'

const endings = { finish: 'finished', stop: 'stopped' } as const

export type Stage =
  | { kind: 'looking' }
  | { kind: 'offered'; card: JobCard; consent: Consent | undefined }
  /** `asked`: what the donor asked for that is not done yet. */
  | { kind: 'giving'; card: JobCard; startedMs: number; asked: 'finish' | 'stop' | null }
  | { kind: 'over'; card: JobCard; ending: Ending; lastedMs: number }
  | { kind: 'failed'; error: unknown }

/** What a page is made of besides itself. */
export interface DonorPageInit {
  /** Imports the peer; called after the donor's click. */
  loadPeer(): Promise<{ startDonation: StartDonation }>
  /**
   * Asks the server of this page for the card of a job. @throws {SwarmError} NOT_FOUND, NO_COORDINATOR,
   * MESSAGE_INVALID.
   */
  fetchCard(job: string): Promise<JobCard>
  kept: Kept
  /** Milliseconds since 1970. */
  now(): number
  calendar: Calendar
  /** Logical processors of the machine. */
  cores: number
}

export class DonorPage {
  readonly stage: Signal<Stage> = signal({ kind: 'looking' })
  /** The newest of the current or last donation. */
  readonly snapshot: Signal<DonationSnapshot | null> = signal(null)
  readonly log: Signal<readonly LogLine[]> = signal([])
  /** The wall clock, as {@link tick} last told it. */
  readonly nowMs: Signal<number>
  readonly governor: Signal<GovernorState>
  readonly allowance: ReadonlySignal<Allowance>
  /** Why what is shown is no longer true, and for how long; `null` while it is. */
  readonly staleness: ReadonlySignal<Staleness | null>
  readonly cores: number

  readonly #init: DonorPageInit
  readonly #heard: Signal<Heard>
  #invitation: Invitation | undefined
  #donation: Donation | undefined
  /** Ends a start that is under way. */
  #giveUp = new AbortController()
  /** The limits that the donation was told last. */
  #passed: WorkLimits | undefined
  #keptDay: DataDay | undefined
  /** Counts the starts, so that what a donation of before says late is not taken for the current one's. */
  #attempt = 0

  constructor(init: DonorPageInit) {
    this.#init = init
    this.cores = init.cores
    const settings = decodeSettings(init.kept.read('settings'), init.cores)
    this.nowMs = signal(init.now())
    this.#heard = signal(nothingHeard(init.now()))
    this.governor = signal(newGovernor(settings, decodeDataDay(init.kept.read('data-day'))))
    this.allowance = computed(() => allowanceOf(this.governor.value, this.nowMs.value, init.calendar))
    this.staleness = computed(() =>
      this.stage.value.kind === 'giving' ? stalenessOf(this.#heard.value, this.nowMs.value) : null,
    )
    effect(() => this.#pass(this.allowance.value.limits))
  }

  /** Reads the link and asks what it is about. Ignored while a donation runs. */
  async open(fragment: string): Promise<void> {
    if (this.stage.value.kind === 'giving') return
    this.stage.value = { kind: 'looking' }
    const attempt = ++this.#attempt
    try {
      this.#invitation = readInvitation(fragment)
      const card = await this.#init.fetchCard(this.#invitation.job)
      if (card.expires <= this.#init.now()) {
        throw new SwarmError('EXPIRED', `job "${card.name}" ended on ${new Date(card.expires).toISOString()}`)
      }
      if (attempt === this.#attempt) this.#offer(card)
    } catch (error) {
      if (attempt === this.#attempt) this.stage.value = { kind: 'failed', error }
    }
  }

  /** The donor's click: agrees to give to the owner on offer, and starts. */
  async start(): Promise<void> {
    const stage = this.stage.value
    if (stage.kind !== 'offered' || this.#invitation === undefined) return
    const attempt = ++this.#attempt
    const startedMs = this.#init.now()
    giveConsent(this.#init.kept, stage.card.owner, startedMs)
    this.snapshot.value = null
    this.#heard.value = nothingHeard(startedMs)
    this.observe({ kind: 'resume' })
    this.stage.value = { kind: 'giving', card: stage.card, startedMs, asked: null }
    this.#giveUp = new AbortController()
    const { signal } = this.#giveUp
    try {
      const { startDonation } = await this.#init.loadPeer().catch(notLoaded)
      signal.throwIfAborted()
      this.#passed = this.allowance.value.limits
      const donation = await startDonation({
        invitation: this.#invitation,
        limits: this.#passed,
        signal,
        onSnapshot: (snapshot) => attempt === this.#attempt && this.#onSnapshot(snapshot),
        onLog: (entry) => this.write(entry),
      })
      if (attempt === this.#attempt) this.#adopt(donation)
      else await donation.stop()
    } catch (error) {
      if (attempt === this.#attempt) this.#failAndTell(error)
    }
  }

  pause(): void {
    this.observe({ kind: 'pause' })
  }

  resume(): void {
    this.observe({ kind: 'resume' })
  }

  snooze(): void {
    this.observe({ kind: 'snooze' })
  }

  /** Leaves after the current round. */
  async finish(): Promise<void> {
    await this.#leave('finish')
  }

  /** Ends all work at once. */
  async stop(): Promise<void> {
    await this.#leave('stop')
  }

  /** Keeps `changes` of the donor's settings and obeys them. */
  change(changes: Partial<GovernorSettings>): void {
    const settings = { ...this.governor.value.settings, ...changes }
    this.#init.kept.write('settings', settings)
    this.observe({ kind: 'settings', settings })
  }

  resetSettings(): void {
    this.change(defaultSettings(this.cores))
  }

  /** Takes the consent for the job's owner back; the next start asks as if for the first time. */
  forgetConsent(): void {
    const stage = this.stage.value
    if (!('card' in stage)) return
    withdrawConsent(this.#init.kept, stage.card.owner)
    if (stage.kind === 'offered') this.#offer(stage.card)
  }

  /** Something that a sensor saw, or the donor wants. */
  observe(event: GovernorEvent): void {
    const nowMs = this.#init.now()
    this.nowMs.value = nowMs
    this.governor.value = governor(this.governor.value, event, nowMs, this.#init.calendar)
  }

  /** Time has passed; to be called about once a second. */
  tick(): void {
    this.observe({ kind: 'tick' })
    const { dataDay } = this.governor.value
    if (dataDay !== this.#keptDay) this.#init.kept.write('data-day', dataDay)
    this.#keptDay = dataDay
  }

  /** Adds a line to the log. */
  write(entry: LogEntry): void {
    this.log.value = withLine(this.log.value, entry)
  }

  #offer(card: JobCard): void {
    this.stage.value = { kind: 'offered', card, consent: consentFor(this.#init.kept, card.owner) }
  }

  /** A donation has started; the donor may have asked for something meanwhile. */
  #adopt(donation: Donation): void {
    this.#donation = donation
    this.#pass(this.allowance.value.limits)
    const stage = this.stage.value
    if (stage.kind === 'giving' && stage.asked === 'finish') void this.#leave('finish')
  }

  /** Tells the donation what it may do, when that has changed. */
  #pass(limits: WorkLimits): void {
    const names = Object.keys(limits) as (keyof WorkLimits)[]
    if (this.#donation === undefined || names.every((name) => this.#passed?.[name] === limits[name])) return
    this.#passed = limits
    this.#donation.limit(limits)
  }

  #onSnapshot(snapshot: DonationSnapshot): void {
    const stage = this.stage.value
    if (stage.kind !== 'giving') return
    this.#heard.value = afterHearing(this.#heard.value, snapshot.isConnected, this.#init.now())
    this.snapshot.value = snapshot
    const { bytesUp, bytesDown } = snapshot.contribution
    this.observe({ kind: 'moved', bytes: bytesUp + bytesDown })
    if (snapshot.failure !== null) this.#fail(snapshot.failure)
    else if (snapshot.job !== null && snapshot.job.owner !== stage.card.owner)
      this.#failAndTell(otherOwner(stage.card, snapshot.job))
    else if (snapshot.phase === 'ended') this.#end(stage.asked === null ? 'run-over' : endings[stage.asked])
  }

  async #leave(how: 'finish' | 'stop'): Promise<void> {
    const stage = this.stage.value
    if (stage.kind !== 'giving' || stage.asked === 'stop') return
    this.stage.value = { ...stage, asked: how }
    const donation = this.#donation
    const attempt = this.#attempt
    try {
      // before the peer is there, Stop ends the attempt to start it, and Finish waits until there is a round to finish
      if (donation === undefined && how === 'finish') return
      await (how === 'finish' ? donation?.finish() : donation?.stop())
    } catch (error) {
      if (attempt === this.#attempt) this.#fail(error)
      return
    }
    if (attempt === this.#attempt) this.#end(endings[how])
  }

  #end(ending: Ending): void {
    const stage = this.stage.value
    if (stage.kind !== 'giving') return
    const lastedMs = this.#init.now() - stage.startedMs
    this.stage.value = { kind: 'over', card: stage.card, ending, lastedMs }
    this.#release()
  }

  #fail(error: unknown): void {
    this.stage.value = { kind: 'failed', error }
    this.#release()
  }

  /** The same for what the peer did not find out itself, and so has not written down. */
  #failAndTell(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error)
    this.write({ atMs: this.#init.now(), level: 'error', text })
    this.#fail(error)
  }

  /** Lets the donation go; what it still says is not listened to. */
  #release(): void {
    this.#attempt++
    this.#giveUp.abort()
    const donation = this.#donation
    this.#donation = undefined
    donation?.stop().catch((error: unknown) => {
      this.write({ atMs: this.#init.now(), level: 'warning', text: `stopping: ${String(error)}` })
    })
  }
}

/** A browser says only that it could not import: whoever serves the page is gone, or has another build by now. */
function notLoaded(cause: unknown): never {
  if (cause instanceof SwarmError) throw cause
  throw new SwarmError('DOWNLOAD_FAILED', `the program could not be loaded: ${String(cause)}`, {
    cause,
    hint: 'Reload the page; if it does not come, its server is gone for now.',
  })
}

function otherOwner(offered: JobCard, found: JobCard): SwarmError {
  return new SwarmError(
    'SIGNATURE_INVALID',
    `the page offered a job of ${offered.owner}, the swarm has one of ${found.owner}`,
  )
}
