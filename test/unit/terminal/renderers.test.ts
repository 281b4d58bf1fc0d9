/** The three renderers on one recorded run: what a person and what a script can read in their output. */

import { expect, test } from 'vitest'
import type { RunEvent } from '../../../node/run/run-events.ts'
import { colorsFor } from '../../../node/terminal/colors.ts'
import { createRenderer, type ProgressMode } from '../../../node/terminal/create-renderer.ts'
import { frame } from '../../../node/terminal/frame.ts'
import { plainLine } from '../../../node/terminal/plain.ts'
import {
  afterEvent,
  curvePointsMax,
  emptyRun,
  noticesMax,
  tablePeersMax,
} from '../../../node/terminal/run-model.ts'
import type { Clock } from '../../../protocols/core/clock.ts'
import { recordedRun, recordedVerdict } from './recorded-run.ts'

const noColors = colorsFor({}, {})
const footer = 'Ctrl-C stops the run.'

/** What a renderer writes for `events`, on a terminal or in a pipe. */
function written(
  events: readonly RunEvent[],
  options: { mode: ProgressMode; isTTY?: boolean; env?: Record<string, string> },
): string {
  let text = ''
  const stream = {
    isTTY: options.isTTY ?? false,
    columns: 100,
    rows: 30,
    write: (chunk: string) => {
      text += chunk
    },
  }
  const clock = manualClock()
  const nextCommands = () => ['starling show bafyreijob']
  const renderer = createRenderer({
    mode: options.mode,
    stream,
    env: options.env ?? {},
    clock,
    footer,
    nextCommands,
  })
  for (const event of events) {
    renderer.event(event)
    clock.advance(1_000)
  }
  renderer.close()
  return text
}

function manualClock(): Clock & { advance(ms: number): void } {
  let now = 0
  let timers: { at: number; callback: () => void }[] = []
  return {
    now: () => now,
    setTimer(delayMs, callback) {
      const timer = { at: now + delayMs, callback }
      timers.push(timer)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    advance(ms) {
      now += ms
      const due = timers.filter(({ at }) => at <= now)
      timers = timers.filter(({ at }) => at > now)
      for (const { callback } of due) callback()
    },
  }
}

function frameOf(events: readonly RunEvent[], width: number, height: number): string[] {
  const run = events.reduce(afterEvent, emptyRun)
  return frame(run, { width, height, colors: noColors, seconds: 67, footer })
}

test('json writes every event as one line, the verdict with exactly its keys', () => {
  const lines = written([...recordedRun, recordedVerdict], { mode: 'json' })
    .trimEnd()
    .split('\n')
  expect(lines.map((line) => JSON.parse(line))).toEqual([...recordedRun, recordedVerdict])
  expect(lines.at(-1)).toBe(
    '{"event":"verdict","verdict":"converged","metric":"val_accuracy","value":0.9735,"rounds":20,"peers":3,' +
      '"seconds":67.25,"uploaded_bytes_per_peer":3400000,"model":"runs/glyphs-cnn/model.onnx"}',
  )
})

test('plain writes one line an event without escape codes, and what to do next', () => {
  const text = written([...recordedRun, recordedVerdict], { mode: 'auto' })
  expect(text).not.toContain('\u001b')
  const lines = text.trimEnd().split('\n')
  expect(lines.slice(0, 3)).toEqual([
    '[    0.4s] Job glyphs-cnn (bafyreijob), 21,930 parameters.',
    '[    0.5s] Starting 3 peers on this machine.',
    '[    1.0s] Peer local-0 (AAAAAA) joined, native.',
  ])
  expect(lines).toContain('[    6.0s] Round 1 done: loss 1.15, 3 peers, 1,503 samples/s.')
  expect(lines).toContain('[    8.0s] Held out, after 4 rounds: loss 0.5000, accuracy 77.5 %.')
  expect(lines.slice(-6)).toEqual([
    '[   25.5s] warning: peer CCCCCC is slow. Close other programs there.',
    '[   26.0s] Peer CCCCCC left: said goodbye.',
    '[   67.3s] The run converged after 20 rounds with 3 peers in 1m 07s: held-out accuracy 97.4 %, 3.4 MB sent by each peer.',
    'Model: runs/glyphs-cnn/model.onnx',
    'Next:',
    '  starling show bafyreijob',
  ])
  const shown = recordedRun.filter(({ event }) => event !== 'peer_progress').length
  expect(lines.length).toBe(shown + 4)
})

test('a wide frame has the charts side by side and every column of the table', () => {
  const lines = frameOf(recordedRun, 120, 30)
  expect(lines[0]).toMatch(/^glyphs-cnn {3}21,930 parameters +1m 07s$/)
  expect(lines[1]).toBe('Training: 20 of 200 rounds, 2 peers, 1,503 samples/s.')
  expect(lines[3]).toMatch(/^training loss {2}0\.1150 +held-out accuracy {2}95\.5 %, target 97\.0 %$/)
  expect(lines).toContain('PEER                 ROUND  PHASE        SAMPLES/S        UP      DOWN  BACKEND')
  expect(lines).toContain('local-1 BBBBBB          20  training           501    1.8 MB    1.8 MB  native')
  expect(lines.at(-2)).toBe('warning: peer CCCCCC is slow')
  expect(lines.at(-1)).toBe(footer)
})

test('a narrow frame has the charts one above the other and leaves columns out', () => {
  const lines = frameOf(recordedRun, 60, 40)
  const titles = lines.filter((line) => /^(training loss|held-out accuracy)/.test(line))
  expect(titles).toEqual(['training loss  0.1150', 'held-out accuracy  95.5 %, target 97.0 %'])
  expect(lines).toContain('PEER                 ROUND  SAMPLES/S        UP      DOWN')
  expect(lines).toContain('local-0 AAAAAA          20        500    1.8 MB    1.8 MB')
})

test.each([40, 60, 80, 100, 120, 200])('no line of a frame is wider than %i columns', (width) => {
  for (const height of [10, 16, 23, 60]) {
    const lines = frameOf(recordedRun, width, height)
    expect(lines.length).toBeLessThanOrEqual(height)
    for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(width)
  }
})

test('peers that do not fit are counted', () => {
  const crowd = Array.from(
    { length: 300 },
    (_, index): RunEvent => ({ event: 'peer_joined', seconds: 1, peer: `peer-${index + 1000}` }),
  )
  const lines = frameOf([...recordedRun, ...crowd], 80, 23)
  const rest = lines.find((line) => line.startsWith('and '))
  const rows = lines.filter((line) => /^(local|r-1)/.test(line)).length
  expect(rest).toBe(`and ${302 - rows} more`)
})

test('text of strangers cannot steer the terminal', () => {
  const peer: RunEvent = { event: 'peer_joined', seconds: 1, peer: 'x', name: 'a\u001b[2Jb\nc\u202ed' }
  expect(written([peer], { mode: 'plain' })).toBe('[    1.0s] Peer a[2Jbcd (x) joined.\n')
  expect(frameOf([peer], 80, 23).join('')).not.toContain('\u001b')
})

test('live redraws in place and ends with the summary', () => {
  const text = written([...recordedRun, recordedVerdict], { mode: 'auto', isTTY: true })
  expect(text).toContain('Training: 20 of 200 rounds')
  expect(text).toContain('\u001b[?2026h')
  expect(text.endsWith('Next:\n  starling show bafyreijob\n')).toBe(true)
})

test('the clock goes on between events', () => {
  const text = written([recordedRun[0]!, recordedRun[1]!], {
    mode: 'live',
    isTTY: true,
    env: { NO_COLOR: '1' },
  })
  expect(text).toContain('1s')
  expect(text).not.toContain('\u001b[1m')
})

test('live is not used in CI, on a dumb terminal or in a pipe', () => {
  const environments: Record<string, string>[] = [{ CI: 'true' }, { TERM: 'dumb' }]
  for (const env of environments) {
    expect(written(recordedRun, { mode: 'auto', isTTY: true, env })).not.toContain('\u001b[?2026h')
  }
})

test('a warning that holds no longer makes place for the news, which is told as it is', () => {
  const warning = 'The coordinator is silent.'
  const recovered: RunEvent = { event: 'recovered', seconds: 3, message: 'It is back.', warning }
  const notices = [
    { event: 'warning', seconds: 1, message: 'odd' },
    { event: 'warning', seconds: 2, message: warning },
    recovered,
  ] as const
  const lines = frameOf([...recordedRun.slice(0, 3), ...notices], 120, 30)
  expect(lines.slice(-3)).toEqual(['warning: odd', 'It is back.', footer])
  expect(plainLine(recovered)).toBe('It is back.')
})

test('a run of any length takes bounded memory', () => {
  let run = emptyRun
  for (let round = 0; round < 3 * curvePointsMax; round++) {
    run = afterEvent(run, {
      event: 'round',
      seconds: round,
      round,
      loss: 1 / (round + 1),
      peers: 1,
      samples_per_second: 1,
    })
  }
  for (let index = 0; index <= tablePeersMax; index++) {
    run = afterEvent(run, { event: 'peer_joined', seconds: 1, peer: `peer-${index}` })
    run = afterEvent(run, { event: 'warning', seconds: 1, message: 'odd' })
  }
  expect(run.trainLoss.length).toBeLessThanOrEqual(curvePointsMax)
  expect(run.trainLoss[0]).toEqual({ x: 1, y: 1 })
  expect(run.trainLoss.at(-1)?.x).toBe(3 * curvePointsMax)
  expect(run.peers.size).toBe(tablePeersMax)
  expect(run.peerCount).toBe(tablePeersMax + 1)
  expect(run.notices.length).toBe(noticesMax)
})
