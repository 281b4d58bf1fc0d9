/**
 * The errors of several methods by round as an SVG: a logarithmic axis, one line for each method, and a legend in the
 * order of the last error. Colours follow the reader's light or dark scheme; the lines differ in their dashes as well.
 */

import type { ErrorByRound } from './experiment.ts'

const size = { width: 640, height: 360 }
/** What the lines have; the legend stands to their right. */
const area = { left: 56, top: 24, right: 470, bottom: 316 }
/** Errors below are drawn at the edge: nothing that matters is smaller. */
const leastExponent = -16

const styles: readonly { colour: string; dash: string }[] = [
  { colour: '#888888', dash: '2 3' },
  { colour: '#c2700a', dash: '6 3' },
  { colour: '#8a5cd6', dash: '8 2 2 2' },
  { colour: '#2f8f4e', dash: '4 2' },
  { colour: '#d0433f', dash: '10 3' },
  { colour: '#1a9a9a', dash: '3 2' },
  { colour: '#2a7de1', dash: '' },
]

const sheet =
  'text{font:12px sans-serif;fill:#222}.axis{stroke:#999;stroke-width:1}.line{fill:none;stroke-width:2}' +
  '@media(prefers-color-scheme:dark){text{fill:#ddd}.axis{stroke:#666}}'

/** An SVG document of `errors` (the medians; all of one length, >= 1), which start at 1. */
export function errorPlot(errors: readonly ErrorByRound[]): string {
  const rounds = errors[0]!.median.length
  const exponent = (error: number): number => Math.max(leastExponent, Math.log10(error))
  const lowest = Math.floor(Math.min(-1, ...errors.flatMap(({ median }) => median.map(exponent))))
  const x = (round: number): number => area.left + ((area.right - area.left) * round) / rounds
  const y = (error: number): number => area.top + ((area.bottom - area.top) * exponent(error)) / lowest
  const lines = errors.map(({ method, median }, index) => {
    const points = [1, ...median].map((error, round) => `${x(round).toFixed(1)},${y(error).toFixed(1)}`)
    return { method, last: median.at(-1)!, points: points.join(' '), style: styles[index % styles.length]! }
  })
  const legend = lines.toSorted((a, b) => b.last - a.last).map(legendEntry)
  const body = [
    ...roundLabels(rounds, x),
    ...exponentLabels(lowest, (power) => y(10 ** power)),
    ...lines.map(({ points, style }) => `<polyline class="line" ${stroke(style)} points="${points}"/>`),
    ...legend,
  ]
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" role="img">`
  const title = '<title>Averaging error by round</title>'
  return `${head}\n${title}\n<style>${sheet}</style>\n${body.join('\n')}\n</svg>\n`
}

function roundLabels(rounds: number, x: (round: number) => number): string[] {
  const step = Math.ceil(rounds / 10)
  const shown = Array.from({ length: rounds + 1 }, (_, round) => round).filter((round) => round % step === 0)
  const { left, right, bottom } = area
  return [
    `<line class="axis" x1="${left}" y1="${bottom}" x2="${right}" y2="${bottom}"/>`,
    ...shown.map((round) => text(x(round), bottom + 18, String(round), 'middle')),
    text((left + right) / 2, bottom + 36, 'rounds', 'middle'),
  ]
}

function exponentLabels(lowest: number, y: (power: number) => number): string[] {
  const step = Math.ceil(-lowest / 8)
  const shown = Array.from({ length: -lowest + 1 }, (_, index) => -index).filter(
    (power) => power % step === 0,
  )
  return [
    `<line class="axis" x1="${area.left}" y1="${area.top}" x2="${area.left}" y2="${area.bottom}"/>`,
    ...shown.map((power) => text(area.left - 6, y(power) + 4, `1e${power}`, 'end')),
  ]
}

function legendEntry(
  { method, style }: { method: string; style: (typeof styles)[number] },
  index: number,
): string {
  const top = area.top + 8 + 20 * index
  const x = area.right + 20
  const line = `<line class="line" ${stroke(style)} x1="${x}" y1="${top}" x2="${x + 28}" y2="${top}"/>`
  return line + text(x + 36, top + 4, method, 'start')
}

function stroke({ colour, dash }: (typeof styles)[number]): string {
  return `stroke="${colour}"${dash === '' ? '' : ` stroke-dasharray="${dash}"`}`
}

function text(x: number, y: number, words: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${words}</text>`
}
