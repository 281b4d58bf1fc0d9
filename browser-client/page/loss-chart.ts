/**
 * The curve of a run on a canvas, by uPlot: held-out and own values over rounds, and the target across. Loaded late.
 */

import uPlot from 'uplot'
import { chartRange } from './chart-range.ts'
import { resolvedColor } from './colors.ts'

/** One entry a round in each list; `null` where nothing was measured. */
export interface LossChartData {
  rounds: readonly number[]
  heldOut: readonly (number | null)[]
  own: readonly (number | null)[]
  /** Across the chart, always inside the range shown. */
  target: number | null
  /** Writes a value of the y axis. */
  writeTick(value: number): string
}

/** Height in CSS pixels: a third of a card's width on a wide screen. */
const height = 260

export class LossChart {
  readonly #place: HTMLElement
  readonly #resized: ResizeObserver
  readonly #plot: uPlot
  #data: LossChartData = { rounds: [], heldOut: [], own: [], target: null, writeTick: String }

  /** Draws into `place`, in the colours that it has now. */
  constructor(place: HTMLElement) {
    this.#place = place
    this.#plot = new uPlot(this.#options(), [[], [], [], []], place)
    this.#resized = new ResizeObserver(() => this.#plot.setSize({ width: place.clientWidth, height }))
    this.#resized.observe(place)
  }

  show(data: LossChartData): void {
    this.#data = data
    const target = data.rounds.map(() => data.target)
    this.#plot.setData([[...data.rounds], [...data.heldOut], [...data.own], target])
  }

  remove(): void {
    this.#resized.disconnect()
    this.#plot.destroy()
  }

  #options(): uPlot.Options {
    const color = (name: `--${string}`) => resolvedColor(this.#place, name)
    const font = `12px ${getComputedStyle(this.#place).fontFamily}`
    const axis = {
      stroke: color('--ink-soft'),
      font,
      ticks: { show: false },
      grid: { stroke: color('--line'), width: 1 },
    }
    return {
      width: this.#place.clientWidth,
      height,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      padding: [12, 8, 0, 0],
      scales: { x: { time: false }, y: { range: (_plot, low, high) => chartRange(low, high) } },
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: 34,
          incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000],
        },
        {
          ...axis,
          size: 62,
          space: 44,
          values: (_plot, ticks) => ticks.map((tick) => this.#data.writeTick(tick)),
        },
      ],
      series: [
        {},
        { stroke: color('--accent'), width: 2.5, spanGaps: true, points: { show: false } },
        { stroke: color('--own'), width: 1.5, spanGaps: true, points: { show: false } },
        { stroke: color('--ink-soft'), width: 1.5, dash: [3, 5], points: { show: false } },
      ],
    }
  }
}
