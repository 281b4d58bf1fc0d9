/**
 * Puts the donor page together in a browser: state, sensors, time, storage and looks. What it loads is all that loads
 * before the donor's click; the peer comes with `loadPeer`, afterwards.
 */

import { effect } from '@preact/signals'
import { render } from 'preact'
import type { StartDonation } from '../donation.ts'
import { localCalendar } from '../governor/calendar.ts'
import { sensorsOf, watchDevice } from '../governor/sensors.ts'
import { ScreenAwake } from '../governor/wake-lock.ts'
import { pageBuild } from '../page-build.ts'
import { App } from './app.tsx'
import { fetchCard } from './card-request.ts'
import { DonorPage } from './donor-page.ts'
import { keptIn, ownStorage } from './kept.ts'
import { faceOf, showFace, titleOf } from './tab-face.ts'
import { Look } from './theme.ts'
import './page.css'

export interface OpenPageInit {
  /** Imports the peer; called after the donor's click. */
  loadPeer(): Promise<{ startDonation: StartDonation }>
}

/** A second: what depends on the time, snoozes and schedules, is written in minutes. No work waits for this timer. */
const tickMs = 1000

/** Shows the page in the document's `#page`, and lives as long as the document. */
export function openPage({ loadPeer }: OpenPageInit): void {
  const kept = keptIn(ownStorage())
  const look = new Look(kept, window)
  const page = new DonorPage({
    loadPeer,
    fetchCard,
    kept,
    now: Date.now,
    calendar: localCalendar,
    cores: Math.max(1, navigator.hardwareConcurrency),
  })
  const whileOpen = new AbortController()
  watchDevice(window, (event) => page.observe(event), { signal: whileOpen.signal })
  setInterval(() => page.tick(), tickMs)
  addEventListener('hashchange', () => void page.open(location.hash))
  addEventListener('error', ({ message }) => page.write({ atMs: Date.now(), level: 'error', text: message }))
  addEventListener('unhandledrejection', ({ reason }) =>
    page.write({ atMs: Date.now(), level: 'error', text: String(reason) }),
  )
  keepScreenOn(page)
  effect(() => showTab(page))
  const place = document.getElementById('page')!
  place.replaceChildren()
  render(<App page={page} look={look} sensors={sensorsOf(window)} build={pageBuild()} />, place)
  void page.open(location.hash)
}

/** Only while work runs: a paused tab has no reason to keep a screen on. */
function keepScreenOn(page: DonorPage): void {
  const screen = new ScreenAwake(window)
  effect(() => {
    const isWorking = page.stage.value.kind === 'giving' && page.allowance.value.limits.mayRun
    screen.want(isWorking && page.governor.value.settings.keepsAwake)
  })
}

function showTab(page: DonorPage): void {
  const stage = page.stage.value
  const face = faceOf(stage, page.allowance.value.pause !== null)
  const job = 'card' in stage ? stage.card.name : null
  showFace(document, face, titleOf(face, job, page.snapshot.value?.round ?? null))
}
