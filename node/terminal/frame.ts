/**
 * The live view of a run as lines of text: header, what is going on, curves, peers, notices. A pure function of the run
 * and the terminal's size; nothing here writes to a terminal.
 *
 *     glyphs-cnn   21,930 parameters                              1m 07s
 *     Training: 12 of 200 rounds, 3 peers, 1,532 samples/s.
 *     [ loss ]  [ accuracy ]      side by side from 100 columns, else one above the other
 *     PEER      ROUND  PHASE  SAMPLES/S  UP  DOWN  BACKEND
 */

import { bytes, count, loss, shortId } from '../../protocols/core/quantities.ts'
import { chart, type Point } from './chart.ts'
import type { Colors } from './colors.ts'
import { cut, duration, percent, printable } from './format.ts'
import type { PeerRow, RunModel } from './run-model.ts'

export interface FrameOptions {
  /** Columns of the terminal, >= 40. */
  width: number
  /** Lines that may be used, >= 10. Peers that do not fit are counted, charts shrink first. */
  height: number
  colors: Colors
  /** Seconds since the start, for the clock in the corner. */
  seconds: number
  /** The last line: what Ctrl-C does. Empty: none. */
  footer: string
}

/** From this width on, the two charts stand side by side. */
const sideBySideColumns = 100

/** The frame's lines, each at most `width` columns wide and none with a line break. */
export function frame(run: RunModel, options: FrameOptions): string[] {
  const { colors, height, footer } = options
  const head = [header(run, options), colors.bold(sentence(run, options)), '']
  const notices = noticeLines(run, options)
  const tail = footer === '' ? notices : [...notices, colors.dim(cut(footer, options.width))]
  const peerLines = Math.min(run.peers.size + 2, 9)
  const charts = chartLines(run, options, height - head.length - tail.length - peerLines)
  const peersHeight = height - head.length - tail.length - charts.length
  return [...head, ...charts, ...peerTable(run, options, peersHeight), ...tail].slice(0, height)
}

function header(run: RunModel, { colors, width, seconds }: FrameOptions): string {
  const clock = duration(seconds)
  const { started } = run
  if (started === undefined) return `starling${clock.padStart(width - 8)}`
  const name = printable(started.name, 32)
  const about = cut(`   ${count(started.parameters)} parameters`, width - name.length - clock.length - 1)
  const room = width - name.length - about.length
  return `${colors.cyan(name)}${colors.dim(about)}${clock.padStart(room)}`
}

function sentence(run: RunModel, { width }: FrameOptions): string {
  if (run.verdict !== undefined) return cut(`The run ended: ${run.verdict.verdict}.`, width)
  if (run.rounds === 0) return cut(printable(run.sentence), width)
  const limit = run.started === undefined ? '' : ` of ${count(run.started.max_rounds)}`
  const peers = run.peerCount === 1 ? '1 peer' : `${count(run.peerCount)} peers`
  const rate = `${count(run.samplesPerSecond)} samples/s`
  return cut(`Training: ${count(run.rounds)}${limit} rounds, ${peers}, ${rate}.`, width)
}

/** At most `room` lines: curves are left out when there is no place for them. */
function chartLines(run: RunModel, options: FrameOptions, room: number): string[] {
  const { width } = options
  const isWide = width >= sideBySideColumns
  const charts = chartsOf(run)
  const heightEach = Math.min(isWide ? 9 : 6, Math.floor(isWide ? room : room / charts.length) - 3)
  if (heightEach < 2) return []
  const columns = isWide ? Math.floor((width - 3) / charts.length) : width
  const drawn = charts.map((item) => drawChart(item, { ...options, width: columns }, heightEach))
  if (!isWide || drawn.length === 1) return drawn.flat()
  return drawn[0]!.map((line, index) => `${padVisible(line, columns)}   ${drawn[1]![index]}`.trimEnd())
}

interface ChartPlan {
  title: string
  value: string
  points: readonly Point[]
  target: number | undefined
  label(value: number): string
  color: 'yellow' | 'green'
}

function chartsOf(run: RunModel): ChartPlan[] {
  const target = run.started?.target ?? undefined
  const isAccuracy = run.started?.metric === 'val_accuracy'
  const trainLoss: ChartPlan = {
    title: 'training loss',
    value: lastOf(run.trainLoss, loss),
    points: run.trainLoss,
    target: undefined,
    label: loss,
    color: 'yellow',
  }
  const metric = isAccuracy ? run.accuracy : run.heldOutLoss
  const label = isAccuracy ? percent : loss
  const aim = target === undefined ? '' : `, target ${label(target)}`
  const title = isAccuracy ? 'held-out accuracy' : 'held-out loss'
  return [
    trainLoss,
    { title, value: `${lastOf(metric, label)}${aim}`, points: metric, target, label, color: 'green' },
  ]
}

function drawChart(plan: ChartPlan, { colors, width }: FrameOptions, height: number): string[] {
  const { title, value, points, target, label, color } = plan
  const lines = chart(points, { width, height, target, label })
  const axisStart = lines[0]!.indexOf('│')
  const rounds = points.length === 0 ? '' : roundAxis(points, width - axisStart - 1)
  return [
    `${cut(`${title}  `, width)}${colors.bold(value)}`,
    ...lines.map(
      (line) => `${colors.dim(line.slice(0, axisStart + 1))}${colors[color](line.slice(axisStart + 1))}`,
    ),
    colors.dim(`${' '.repeat(axisStart)}└${rounds}`),
    '',
  ]
}

/** First and last round under the curve. */
function roundAxis(points: readonly Point[], width: number): string {
  const first = `round ${count(points[0]!.x)}`
  const last = count(points.at(-1)!.x)
  return `${first}${last.padStart(Math.max(last.length + 1, width - first.length))}`.slice(0, width)
}

function lastOf(points: readonly Point[], label: (value: number) => string): string {
  const last = points.at(-1)
  return last === undefined ? 'not measured yet' : label(last.y)
}

interface Column {
  title: string
  width: number
  text(row: PeerRow): string
  isLeft?: true
  /** Left out below this many columns of the terminal. */
  from: number
}

const columns: readonly Column[] = [
  { title: 'PEER', width: 17, isLeft: true, from: 0, text: peerLabel },
  { title: 'ROUND', width: 7, from: 0, text: ({ round }) => count(round) },
  { title: 'PHASE', width: 11, isLeft: true, from: 70, text: ({ phase }) => printable(phase, 10) },
  { title: 'SAMPLES/S', width: 9, from: 0, text: ({ samplesPerSecond }) => count(samplesPerSecond) },
  { title: 'UP', width: 8, from: 50, text: ({ uploadedBytes }) => bytes(uploadedBytes) },
  { title: 'DOWN', width: 8, from: 50, text: ({ downloadedBytes }) => bytes(downloadedBytes) },
  { title: 'BACKEND', width: 10, isLeft: true, from: 80, text: ({ backend }) => printable(backend ?? '', 9) },
]

function peerTable(run: RunModel, { width, colors }: FrameOptions, height: number): string[] {
  if (run.peers.size === 0 || height < 3) return []
  const shown = columns.filter(({ from }) => width >= from)
  const write = (text: (column: Column) => string): string =>
    shown
      .map((column) =>
        column.isLeft ? text(column).padEnd(column.width) : text(column).padStart(column.width),
      )
      .join('  ')
      .slice(0, width)
      .trimEnd()
  const isCut = run.peerCount > height - 2
  const rows = [...run.peers.values()].slice(0, isCut ? height - 3 : height - 2)
  const rest = run.peerCount - rows.length
  return [
    colors.dim(write(({ title }) => title)),
    ...rows.map((row) => write(({ text }) => text(row))),
    ...(rest > 0 ? [colors.dim(cut(`and ${count(rest)} more`, width))] : []),
    '',
  ]
}

function peerLabel({ peer, name }: PeerRow): string {
  return name === undefined ? shortId(peer) : `${printable(name, 10)} ${shortId(peer)}`
}

function noticeLines({ notices }: RunModel, { colors, width }: FrameOptions): string[] {
  return notices.map((notice) => {
    if (notice.event === 'recovered') return colors.green(cut(printable(notice.message), width))
    const color = notice.event === 'error' ? colors.red : colors.yellow
    return color(cut(`${notice.event}: ${printable(notice.message)}`, width))
  })
}

/** Pads by what is seen: colour codes take no column. */
function padVisible(text: string, width: number): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the colour codes that this file itself puts in
  const visible = text.replace(/\u001b\[\d+m/g, '').length
  return text + ' '.repeat(Math.max(0, width - visible))
}
