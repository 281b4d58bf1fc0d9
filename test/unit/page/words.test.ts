/** What the page says, in numbers and in words. */

import { describe, expect, test } from 'vitest'
import type { DonationPhase } from '../../../browser-client/donation.ts'
import { chartRange } from '../../../browser-client/page/chart-range.ts'
import { explain } from '../../../browser-client/page/explain.ts'
import { accuracy, bytes, duration, loss, percent } from '../../../browser-client/page/format.ts'
import { filtered, logText, withLine } from '../../../browser-client/page/log-buffer.ts'
import { nickname } from '../../../browser-client/page/nickname.ts'
import {
  announcement,
  companyOf,
  pauseSentence,
  stationOf,
  statusSentence,
} from '../../../browser-client/page/sentences.ts'
import { smoothed } from '../../../browser-client/page/smoothing.ts'
import { faceOf, titleOf } from '../../../browser-client/page/tab-face.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'
import { count } from '../../../protocols/core/quantities.ts'
import { card, scenes } from '../../e2e/page/scenes.ts'

/** With plain spaces, to be read here. */
const plain = (text: string): string => text.replaceAll('\u00a0', ' ')

test.each([
  [
    [1, 2],
    [0.92, 2.08],
  ],
  [
    [0.01, 2],
    [0, 2.1592],
  ],
  [
    [-3, -1],
    [-3.16, -0.84],
  ],
  [
    [2, 2],
    [1.84, 2.16],
  ],
  [
    [null, null],
    [0, 1],
  ],
] as const)('of values from %j a chart shows %j', ([low, high], [from, to]) => {
  const [shownFrom, shownTo] = chartRange(low, high)
  expect(shownFrom).toBeCloseTo(from, 10)
  expect(shownTo).toBeCloseTo(to, 10)
})

describe('numbers', () => {
  test.each([
    [bytes(0), '0 B'],
    [bytes(999), '999 B'],
    [bytes(999.6), '1.0 kB'],
    [bytes(54_570), '54.6 kB'],
    [bytes(14.2e6), '14.2 MB'],
    [bytes(123e9), '123 GB'],
    [count(0.25), '0.3'],
    [count(7936), '7,936'],
    [duration(840), '0.8 s'],
    [duration(9960), '10 s'],
    [duration(59_400), '59 s'],
    [duration(59_600), '1 min'],
    [duration(7_500_000), '2 h 05 min'],
    [percent(0), '0 %'],
    [percent(0.0871), '8.7 %'],
    [percent(0.5), '50 %'],
    [accuracy(0.985), '98.5 %'],
    [accuracy(0.97), '97 %'],
    [loss(0.23148), '0.2315'],
    [loss(Math.LN10), '2.303'],
    [loss(1.2e-5), '1.2e-5'],
    [loss(Number.POSITIVE_INFINITY), 'not finite'],
  ])('%s', (written, expected) => {
    expect(plain(written)).toBe(expected)
  })
})

describe('sentences', () => {
  const say = (phase: DonationPhase) => statusSentence(phase, companyOf(scenes.training))

  test('company is the peers that take part, without this tab and without those who watch', () => {
    expect(companyOf(scenes.training)).toEqual({ round: 34, others: 5, peersMin: card.peersMin })
    expect(say('training')).toBe('Training in round 34 with 5 other peers.')
    expect(say('averaging')).toBe('Averaging what 6 peers learned in round 34.')
    expect(statusSentence('training', { round: 1, others: 0, peersMin: 1 })).toBe(
      'Training in round 1, alone so far.',
    )
  })

  test('waiting says how many are missing, and never none', () => {
    const waiting = (others: number) => statusSentence('waiting', { round: 0, others, peersMin: 3 })
    expect(waiting(0)).toBe('Ready. Waiting for 2 more peers to begin.')
    expect(waiting(1)).toBe('Ready. Waiting for 1 more peer to begin.')
    expect(waiting(5)).toBe('Ready. Waiting for 1 more peer to begin.')
  })

  test('a screen reader is not told of every round', () => {
    expect(announcement('training')).toBe(announcement('averaging'))
    expect(announcement('training')).not.toMatch(/\d/)
  })

  test('each station of the way is reached by a phase', () => {
    const phases: DonationPhase[] = [
      'connecting',
      'downloading',
      'syncing',
      'training',
      'averaging',
      'leaving',
    ]
    expect(phases.map(stationOf)).toEqual(['connect', 'download', 'prepare', 'train', 'average', null])
  })

  test('a pause says why, and until when', () => {
    const noon = new Date(2026, 10, 22, 12).getTime()
    const hour = 3_600_000
    expect(pauseSentence({ reason: 'battery', untilMs: null }, noon)).toBe(
      'Paused while your computer runs on battery.',
    )
    expect(pauseSentence({ reason: 'snoozed', untilMs: noon + hour }, noon)).toBe('Snoozing until 13:00.')
    expect(pauseSentence({ reason: 'schedule', untilMs: noon + 34 * hour }, noon)).toBe(
      'Your schedule says no until Mon 22:00.',
    )
    expect(pauseSentence({ reason: 'schedule', untilMs: null }, noon)).toBe(
      'Paused: your schedule has no open day.',
    )
  })
})

describe('errors', () => {
  test('an error is told by what it means, with the hint that is nearest to the case', () => {
    const own = explain(new SwarmError('REFUSED', 'another tab donates already', { hint: 'Go to that tab.' }))
    expect(own).toMatchObject({
      meaning: 'Another tab donates already.',
      remedy: 'Go to that tab.',
      detail: 'another tab donates already',
      code: 'REFUSED',
    })
    expect(explain(new SwarmError('VERSION_MISMATCH', '')).remedy).toBe(
      'Reload the page to get its newest version.',
    )
  })

  test('what is not a SwarmError is said to be our mistake', () => {
    expect(explain(new TypeError('x is undefined'))).toMatchObject({ code: 'BUG', detail: 'x is undefined' })
    expect(explain('thrown text').detail).toBe('thrown text')
  })
})

test('the tab’s title says how things stand', () => {
  const giving = { kind: 'giving', card, startedMs: 0, asked: null } as const
  expect(titleOf(faceOf(giving, false), 'glyphs', 12)).toBe('▶ round 12 · glyphs · Starling')
  expect(titleOf(faceOf(giving, true), 'glyphs', 12)).toBe('⏸ paused · glyphs · Starling')
  expect(titleOf(faceOf({ kind: 'looking' }, false), null, null)).toBe('Starling')
  expect(titleOf(faceOf({ kind: 'failed', error: null }, false), null, null)).toBe('⚠ Starling')
})

test('a nickname is the same in every page, and ids that differ in one character rarely share one', () => {
  expect(nickname(card.owner)).toBe('brisk avocet')
  const names = Array.from({ length: 32 }, (_, index) =>
    nickname(`${card.owner.slice(0, -1)}${index.toString(32)}`),
  )
  expect(new Set(names).size).toBeGreaterThan(28)
})

test('smoothing starts without a bias, keeps a constant, and halves a jump as its weight says', () => {
  expect(smoothed([3, 1, 2], 0)).toEqual([3, 1, 2])
  expect(smoothed([2, null, 2, 2], 0.9)).toEqual([2, null, expect.closeTo(2), expect.closeTo(2)])
  // m1 = 0.5·1, m2 = 0.5·m1 + 0.5·4 = 2.25; shown m2 / (1 − 0.25) = 3
  expect(smoothed([1, 4], 0.5)).toEqual([1, 3])
})

test('the log is searched in any case, filtered by level, and written one line an entry', () => {
  const entries = [
    { atMs: 0, level: 'info', text: 'Round 3 committed' },
    { atMs: 1000, level: 'error', text: 'round 4 lost' },
  ] as const
  const lines = entries.reduce(withLine, [] as readonly ReturnType<typeof withLine>[number][])
  expect(filtered(lines, { level: 'info', search: 'ROUND' }).length).toBe(2)
  expect(filtered(lines, { level: 'warning', search: '' }).map(({ index }) => index)).toEqual([1])
  expect(logText(lines)).toBe(
    '1970-01-01T00:00:00.000Z info    Round 3 committed\n1970-01-01T00:00:01.000Z error   round 4 lost\n',
  )
})
