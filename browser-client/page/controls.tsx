/** Pause, Finish, Stop; the way from the click to the rounds; and how much of what has been fetched. */

import type { Progress } from '../donation.ts'
import { bytes, percent } from './format.ts'
import type { PartProps } from './part-props.ts'
import { type Station, stationOf, stations } from './sentences.ts'

export function Controls({ page }: PartProps) {
  const stage = page.stage.value
  if (stage.kind !== 'giving') return null
  const { pause } = page.allowance.value
  const isOwnPause = pause?.reason === 'asked' || pause?.reason === 'snoozed'
  const isLeaving = stage.asked !== null
  return (
    <section class="card controls" aria-label="Controls">
      <PhaseStrip page={page} />
      <ProgressBars progress={page.snapshot.value?.progress ?? []} />
      <div class="buttons">
        {isOwnPause ? (
          <button type="button" class="primary" disabled={isLeaving} onClick={() => page.resume()}>
            Resume
          </button>
        ) : (
          <>
            <button type="button" disabled={isLeaving} onClick={() => page.pause()}>
              Pause
            </button>
            <button type="button" disabled={isLeaving} onClick={() => page.snooze()}>
              Snooze 1 hour
            </button>
          </>
        )}
        <button type="button" disabled={isLeaving} onClick={() => void page.finish()}>
          Finish this round
        </button>
        <button type="button" class="stop" disabled={stage.asked === 'stop'} onClick={() => void page.stop()}>
          Stop
        </button>
      </div>
    </section>
  )
}

const stationWords: Record<Station, string> = {
  connect: 'Connect',
  download: 'Fetch',
  prepare: 'Prepare',
  train: 'Train',
  average: 'Average',
}

function PhaseStrip({ page }: PartProps) {
  const phase = page.snapshot.value?.phase ?? 'loading'
  const current = page.allowance.value.pause === null ? stationOf(phase) : null
  const reached = current === null ? -1 : stations.indexOf(current)
  return (
    <ol class="strip" aria-label="Where this tab stands">
      {stations.map((station, index) => (
        <li
          key={station}
          class={index < reached ? 'done' : ''}
          aria-current={station === current ? 'step' : undefined}
        >
          {stationWords[station]}
        </li>
      ))}
    </ol>
  )
}

const progressWords: Record<Progress['what'], string> = {
  program: 'Program',
  runtime: 'Runtime for the model',
  model: 'Model',
  data: 'Data',
  state: 'Newest state',
}

function ProgressBars({ progress }: { progress: readonly Progress[] }) {
  const unfinished = progress.filter(
    ({ bytes: done, bytesTotal }) => bytesTotal === null || done < bytesTotal,
  )
  if (unfinished.length === 0) return null
  return (
    <ul class="progress">
      {unfinished.map(({ what, bytes: done, bytesTotal }) => (
        <li key={what}>
          <label>
            <span>{progressWords[what]}</span>
            <progress max={bytesTotal ?? 1} value={bytesTotal === null ? undefined : done} />
            <span class="figure">
              {bytesTotal === null
                ? bytes(done)
                : `${bytes(done)} of ${bytes(bytesTotal)}, ${percent(done / bytesTotal)}`}
            </span>
          </label>
        </li>
      ))}
    </ul>
  )
}
