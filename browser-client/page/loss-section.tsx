/**
 * How well the run does: its loss or accuracy over the rounds, with the target that ends it. The chart is for the eye;
 * its summary and the table say the same to everybody. The chart's library is loaded when there is something to draw.
 */

import { useEffect, useRef, useState } from 'preact/hooks'
import { count } from '../../protocols/core/quantities.ts'
import type { LossPoint } from '../donation.ts'
import { loss, accuracy as writeAccuracy } from './format.ts'
import type { LossChart, LossChartData } from './loss-chart.ts'
import type { PartProps } from './part-props.ts'
import { smoothed } from './smoothing.ts'
import type { Look } from './theme.ts'
import { whenLoaded } from './when-loaded.ts'

type Measure = 'loss' | 'accuracy'

/** Rows of the table: the newest; a screen reader is not helped by a thousand. */
const rowsMax = 50

export function LossSection({ page, look }: PartProps & { look: Look }) {
  const stage = page.stage.value
  const card = 'card' in stage ? stage.card : null
  const curve = page.snapshot.value?.curve ?? []
  const hasAccuracy = curve.some(({ accuracy }) => accuracy !== null)
  const [chosen, choose] = useState<Measure>(card?.targetAccuracy == null ? 'loss' : 'accuracy')
  const [smoothing, setSmoothing] = useState(0)
  const measure = hasAccuracy ? chosen : 'loss'
  const target = (measure === 'loss' ? card?.targetLoss : card?.targetAccuracy) ?? null
  return (
    <section class="card" aria-labelledby="curve">
      <h2 id="curve">How the run does</h2>
      <p>{summary(curve, measure, target)}</p>
      {curve.length > 1 && (
        <>
          <div class="chart-tools">
            {hasAccuracy && <MeasureChoice chosen={measure} choose={choose} />}
            <label>
              Smoothing
              <input
                type="range"
                min="0"
                max="0.95"
                step="0.05"
                value={smoothing}
                onInput={(event) => setSmoothing(event.currentTarget.valueAsNumber)}
              />
            </label>
          </div>
          <Chart data={chartData(curve, measure, smoothing, target)} scheme={look.scheme.value} />
          <CurveTable curve={curve} />
        </>
      )}
    </section>
  )
}

function MeasureChoice({ chosen, choose }: { chosen: Measure; choose(measure: Measure): void }) {
  return (
    <fieldset class="choice">
      <legend class="unseen">What is drawn</legend>
      {(['loss', 'accuracy'] as const).map((measure) => (
        <label key={measure}>
          <input type="radio" name="measure" checked={measure === chosen} onChange={() => choose(measure)} />
          <span>{measure === 'loss' ? 'Loss' : 'Accuracy'}</span>
        </label>
      ))}
    </fieldset>
  )
}

/** The curve in one sentence. */
function summary(curve: readonly LossPoint[], measure: Measure, target: number | null): string {
  const value = (point: LossPoint) => (measure === 'loss' ? point.heldOut : point.accuracy)
  const write = measure === 'loss' ? loss : writeAccuracy
  const measured = curve.filter((point) => value(point) !== null)
  const [first, last] = [measured[0], measured.at(-1)]
  const aim = target === null ? '' : ` The run is done at ${write(target)}.`
  if (first === undefined || last === undefined)
    return `Nothing has been measured on held-out samples yet.${aim}`
  const name = measure === 'loss' ? 'Loss' : 'Accuracy'
  const now = `${name} on samples that nobody trains on: ${write(value(last)!)} in round ${last.round}`
  return `${now}${first === last ? '' : `, from ${write(value(first)!)} in round ${first.round}`}.${aim}`
}

function chartData(
  curve: readonly LossPoint[],
  measure: Measure,
  smoothing: number,
  target: number | null,
): LossChartData {
  const heldOut = curve.map((point) => (measure === 'loss' ? point.heldOut : point.accuracy))
  const own = measure === 'loss' ? curve.map((point) => point.own) : curve.map(() => null)
  return {
    rounds: curve.map(({ round }) => round),
    heldOut: smoothed(heldOut, smoothing),
    own: smoothed(own, smoothing),
    target,
    writeTick: measure === 'loss' ? (value) => String(Number(value.toPrecision(3))) : writeAccuracy,
  }
}

function Chart({ data, scheme }: { data: LossChartData; scheme: string }) {
  const place = useRef<HTMLDivElement>(null)
  const chart = useRef<LossChart | undefined>(undefined)
  const newest = useRef(data)
  newest.current = data
  chart.current?.show(data)
  // made again with the scheme: a canvas takes its colours when it is made
  useEffect(() => {
    let isGone = false
    whenLoaded(import('./loss-chart.ts'), ({ LossChart }) => {
      if (isGone) return
      chart.current = new LossChart(place.current!)
      chart.current.show(newest.current)
    })
    return () => {
      isGone = true
      chart.current?.remove()
      chart.current = undefined
    }
  }, [scheme])
  const hasOwn = data.own.some((value) => value !== null)
  return (
    <figure class="chart">
      <div class="plot" ref={place} aria-hidden="true" />
      <figcaption>
        <span class="key held-out">All peers, held-out samples</span>
        {hasOwn && <span class="key own">This tab, while training</span>}
        {data.target !== null && <span class="key target">Target</span>}
      </figcaption>
    </figure>
  )
}

function CurveTable({ curve }: { curve: readonly LossPoint[] }) {
  const cell = (value: number | null, write: (value: number) => string) =>
    value === null ? '–' : write(value)
  return (
    <details>
      <summary>As a table</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard (WCAG 2.1.1) */}
      <section class="scroll" tabIndex={0} aria-label="The curve as a table">
        <table>
          <thead>
            <tr>
              <th scope="col">Round</th>
              <th scope="col">Held-out loss</th>
              <th scope="col">Accuracy</th>
              <th scope="col">This tab’s loss</th>
            </tr>
          </thead>
          <tbody>
            {curve
              .slice(-rowsMax)
              .reverse()
              .map((point) => (
                <tr key={point.round}>
                  <th scope="row">{count(point.round)}</th>
                  <td>{cell(point.heldOut, loss)}</td>
                  <td>{cell(point.accuracy, writeAccuracy)}</td>
                  <td>{cell(point.own, loss)}</td>
                </tr>
              ))}
          </tbody>
        </table>
      </section>
    </details>
  )
}
