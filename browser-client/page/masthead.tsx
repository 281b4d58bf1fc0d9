/** The sky: the flock, the name of the house, and the one sentence that says what is going on. */

import { useEffect, useRef } from 'preact/hooks'
import type { DonorPage, Stage } from './donor-page.ts'
import { explain } from './explain.ts'
import { FlockCanvas, type FlockMood } from './flock-canvas.tsx'
import { announcement, companyOf, pauseSentence, statusSentence } from './sentences.ts'
import { birdPath } from './tab-face.ts'
import { type Look, type Theme, themes } from './theme.ts'

/** Groups of birds in the sky while nobody is known yet: scenery. */
const sceneryPeers = 4

export function Masthead({ page, look }: { page: DonorPage; look: Look }) {
  const { headline, spoken } = headlineOf(page)
  const stage = page.stage.value
  const heading = useRef<HTMLHeadingElement>(null)
  useNewStage(stage.kind, () => {
    scrollTo({ top: 0 })
    heading.current?.focus({ preventScroll: true })
  })
  return (
    <header class={`sky sky-${stage.kind}`}>
      <FlockCanvas mood={moodOf(page)} theme={look.scheme.value} />
      <div class="bar">
        <span class="wordmark">
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <path d={birdPath} />
          </svg>
          Starling
        </span>
        <ThemeSwitch look={look} />
      </div>
      <div class="headline">
        {stage.kind === 'giving' && <JobLine stage={stage} />}
        <h1 ref={heading} tabIndex={-1}>
          {headline}
        </h1>
        <p class="unseen" role="status">
          {spoken}
        </p>
      </div>
    </header>
  )
}

/** Calls `show` when the page has become another one: what was pressed is gone, and the focus would be nowhere. */
function useNewStage(kind: Stage['kind'], show: () => void): void {
  const shown = useRef(kind)
  useEffect(() => {
    const isFirst = shown.current === 'looking'
    if (shown.current === kind) return
    shown.current = kind
    if (!isFirst) show()
  })
}

/** What is computed and for whom, above the sentence that says how it goes. */
function JobLine({ stage: { card } }: { stage: Extract<Stage, { kind: 'giving' }> }) {
  return (
    <p class="job-line">
      You are lending this tab to <strong>{card.name}</strong>
    </p>
  )
}

function ThemeSwitch({ look }: { look: Look }) {
  const words: Record<Theme, string> = { auto: 'Auto', light: 'Light', dark: 'Dark' }
  return (
    <fieldset class="choice theme-choice">
      <legend class="unseen">Colours</legend>
      {themes.map((theme) => (
        <label key={theme}>
          <input
            type="radio"
            name="theme"
            checked={look.theme.value === theme}
            onChange={() => look.choose(theme)}
          />
          <span>{words[theme]}</span>
        </label>
      ))}
    </fieldset>
  )
}

function headlineOf(page: DonorPage): { headline: string; spoken: string } {
  const stage = page.stage.value
  const same = (sentence: string) => ({ headline: sentence, spoken: sentence })
  if (stage.kind === 'looking') return same('One moment.')
  if (stage.kind === 'offered') return { headline: `Lend this tab to ${stage.card.name}`, spoken: '' }
  if (stage.kind === 'failed') return same(explain(stage.error).title)
  if (stage.kind === 'over')
    return same(stage.ending === 'run-over' ? 'The run is over. Thank you.' : 'Thank you.')
  const { pause } = page.allowance.value
  const snapshot = page.snapshot.value
  if (stage.asked === 'stop') return same('Stopping.')
  if (stage.asked === 'finish') return same('Finishing this round with the others, then leaving.')
  if (pause !== null) return same(pauseSentence(pause, page.nowMs.value))
  if (snapshot === null) return same(announcement('loading'))
  if (page.staleness.value?.cause === 'cut') return same('Looking for the others again.')
  // a job that is known from an earlier visit is ready before anybody was reached
  if (snapshot.phase === 'waiting' && !snapshot.isConnected) return same('Ready. Looking for the swarm.')
  return {
    headline: statusSentence(snapshot.phase, companyOf(snapshot)),
    spoken: announcement(snapshot.phase),
  }
}

function moodOf(page: DonorPage): FlockMood {
  const snapshot = page.snapshot.value
  const isGiving = page.stage.value.kind === 'giving'
  const others = isGiving && snapshot !== null ? companyOf(snapshot).others : sceneryPeers
  const phase = isGiving ? snapshot?.phase : undefined
  const isRunning = phase === 'training' || phase === 'averaging'
  return {
    others,
    isOwnFlying: isRunning && page.allowance.value.pause === null,
    isGathering: phase === 'averaging',
  }
}
