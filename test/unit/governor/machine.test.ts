/**
 * Every rule of the governor: what happens, what the worker may then do, what the donor is told; and that no rule is
 * overruled.
 */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Allowance,
  allowanceOf,
  type GovernorEvent,
  type GovernorState,
  governor,
  newGovernor,
  snoozeMs,
} from '../../../browser-client/governor/machine.ts'
import type { PressureLevel } from '../../../browser-client/governor/pressure.ts'
import type { LocalTime } from '../../../browser-client/governor/schedule.ts'
import {
  decodeSettings,
  defaultSettings,
  type GovernorSettings,
} from '../../../browser-client/governor/settings.ts'

const [second, minute, hour] = [1000, 60_000, 3_600_000]

/** A calendar without time zones: 1970-01-01 was a Thursday. */
function utc(nowMs: number): LocalTime {
  const date = new Date(nowMs)
  return {
    day: date.toISOString().slice(0, 10),
    weekday: date.getUTCDay(),
    minute: date.getUTCHours() * 60 + date.getUTCMinutes(),
  }
}

/** Sunday 2026-11-22, 15:00. */
const start = Date.UTC(2026, 10, 22, 15)
const settings: GovernorSettings = { ...defaultSettings(8), dutyCycle: 0.8 }

/**
 * A tab that lived through `events`, one after the other at their times after {@link start}, and what it may do then.
 */
function lived(
  events: readonly (readonly [number, GovernorEvent])[],
  with_: Partial<GovernorSettings> = {},
): Allowance {
  let state = newGovernor({ ...settings, ...with_ }, { day: '2026-11-22', bytes: 0 })
  for (const [at, event] of events) state = governor(state, event, start + at, utc)
  return allowanceOf(state, start + (events.at(-1)?.[0] ?? 0), utc)
}

const tick = { kind: 'tick' } as const
const pressure = (level: PressureLevel): GovernorEvent => ({ kind: 'pressure', level })
const nights = {
  isOn: true,
  days: [true, false, false, false, false, false, false],
  fromMinute: 22 * 60,
  toMinute: 7 * 60,
}

describe('what pauses the work, and what the donor is told', () => {
  const cases: [
    string,
    (readonly [number, GovernorEvent])[],
    Partial<GovernorSettings>,
    Allowance['pause'],
  ][] = [
    ['nothing', [[0, tick]], {}, null],
    ['the donor', [[0, { kind: 'pause' }]], {}, { reason: 'asked', untilMs: null }],
    [
      'the donor, until they resume',
      [
        [0, { kind: 'pause' }],
        [1, { kind: 'resume' }],
      ],
      {},
      null,
    ],
    ['a snooze', [[0, { kind: 'snooze' }]], {}, { reason: 'snoozed', untilMs: start + snoozeMs }],
    [
      'a snooze, for an hour',
      [
        [0, { kind: 'snooze' }],
        [snoozeMs, tick],
      ],
      {},
      null,
    ],
    [
      'a snooze, to its last millisecond',
      [
        [0, { kind: 'snooze' }],
        [snoozeMs - 1, tick],
      ],
      {},
      { reason: 'snoozed', untilMs: start + snoozeMs },
    ],
    [
      'a snooze, until the donor resumes',
      [
        [0, { kind: 'snooze' }],
        [1, { kind: 'resume' }],
      ],
      {},
      null,
    ],
    ['the battery', [[0, { kind: 'battery', isOnBattery: true }]], {}, { reason: 'battery', untilMs: null }],
    [
      'the battery, not when allowed',
      [[0, { kind: 'battery', isOnBattery: true }]],
      { pausesOnBattery: false },
      null,
    ],
    [
      'a hidden tab, when asked',
      [[0, { kind: 'visibility', isHidden: true }]],
      { runsHidden: false },
      { reason: 'hidden', untilMs: null },
    ],
    ['a hidden tab, not by default', [[0, { kind: 'visibility', isHidden: true }]], {}, null],
    [
      'the day’s data',
      [[0, { kind: 'moved', bytes: 50e6 }]],
      { dataCapBytes: 50e6 },
      { reason: 'data', untilMs: start + 9 * hour },
    ],
    [
      'the day’s data, not a byte below',
      [[0, { kind: 'moved', bytes: 50e6 - 1 }]],
      { dataCapBytes: 50e6 },
      null,
    ],
    [
      'the day’s data, until midnight',
      [
        [0, { kind: 'moved', bytes: 50e6 }],
        [9 * hour, tick],
      ],
      { dataCapBytes: 50e6 },
      null,
    ],
    ['a closed hour', [[0, tick]], { schedule: nights }, { reason: 'schedule', untilMs: start + 7 * hour }],
    ['an open hour', [[7 * hour, tick]], { schedule: nights }, null],
    ['an open hour after midnight', [[15 * hour, tick]], { schedule: nights }, null],
    [
      'the end of the night',
      [[16 * hour, tick]],
      { schedule: nights },
      { reason: 'schedule', untilMs: start + 7 * 24 * hour + 7 * hour },
    ],
    [
      'a schedule without a day',
      [[0, tick]],
      { schedule: { ...nights, days: Array(7).fill(false) } },
      { reason: 'schedule', untilMs: null },
    ],
  ]
  test.each(cases)('%s', (_name, events, with_, pause) => {
    const allowance = lived(events, with_)
    expect(allowance.pause).toEqual(pause)
    expect(allowance.limits.mayRun).toBe(pause === null)
  })

  test('the donor’s own word is told before anything else', () => {
    const events = [
      [0, { kind: 'battery', isOnBattery: true }],
      [1, { kind: 'pause' }],
    ] as const
    expect(lived(events).pause?.reason).toBe('asked')
  })
})

describe('how much may run', () => {
  test('share, threads and graphics card are the donor’s', () => {
    expect(lived([[0, tick]], { threads: 3, mayUseGpu: false }).limits).toEqual({
      mayRun: true,
      dutyCycle: 0.8,
      threads: 3,
      mayUseGpu: false,
      savesData: false,
    })
  })

  test('heat takes a quarter at once and another every ten seconds; a calm minute gives one back; a tenth always stays', () => {
    const duty = (...events: (readonly [number, GovernorEvent])[]) => lived(events).limits.dutyCycle
    const hot = [0, pressure('serious')] as const
    expect(duty(hot)).toBeCloseTo(0.6)
    expect(duty(hot, [9 * second, tick])).toBeCloseTo(0.6)
    expect(duty(hot, [10 * second, tick])).toBeCloseTo(0.4)
    expect(duty([0, pressure('critical')])).toBeCloseTo(0.4)
    const melting = [0, 10, 20, 30, 40].map((at) => [at * second, pressure('critical')] as const)
    expect(duty(...melting)).toBeCloseTo(0.08)
    const cooled = [hot, [10 * second, tick], [11 * second, pressure('fair')]] as const
    expect(duty(...cooled, [70 * second, tick])).toBeCloseTo(0.4)
    expect(duty(...cooled, [71 * second, tick])).toBeCloseTo(0.6)
    expect(duty(...cooled, [71 * second, tick], [131 * second, tick])).toBeCloseTo(0.8)
  })

  test('a donor may tell the tab to ignore the heat', () => {
    const hot = [[0, pressure('critical')]] as const
    expect(lived(hot)).toMatchObject({ limits: { dutyCycle: 0.4 }, isBackingOff: true })
    expect(lived(hot, { backsOff: false })).toMatchObject({ limits: { dutyCycle: 0.8 }, isBackingOff: false })
  })

  test('heat that comes and goes within ten seconds moves nothing after its first rung', () => {
    const flicker = Array.from(
      { length: 20 },
      (_, n) => [n * 2 * second, pressure(n % 2 === 0 ? 'serious' : 'fair')] as const,
    )
    expect(lived(flicker).limits.dutyCycle).toBeCloseTo(0.6)
  })

  test('updates become small when seven tenths of the day’s data are used, or the connection is metered', () => {
    const small = (event: GovernorEvent) => lived([[0, event]], { dataCapBytes: 100e6 }).limits.savesData
    expect(small({ kind: 'moved', bytes: 70e6 - 1 })).toBe(false)
    expect(small({ kind: 'moved', bytes: 70e6 })).toBe(true)
    expect(small({ kind: 'connection', isMetered: true })).toBe(true)
  })

  test('a second donation of the day counts on top of the first', () => {
    const events = [40e6, 45e6, 3e6, 6e6].map((bytes, at) => [at, { kind: 'moved', bytes }] as const)
    expect(lived(events, { dataCapBytes: 51e6 }).limits.mayRun).toBe(false)
    expect(lived(events, { dataCapBytes: 51e6 + 1 }).limits.mayRun).toBe(true)
  })

  test('what was moved on another day does not count today', () => {
    const kept = newGovernor({ ...settings, dataCapBytes: 50e6 }, { day: '2026-11-21', bytes: 90e6 })
    expect(allowanceOf(governor(kept, tick, start, utc), start, utc).limits.mayRun).toBe(true)
  })
})

const events: fc.Arbitrary<GovernorEvent> = fc.oneof(
  fc.record({ kind: fc.constant('battery' as const), isOnBattery: fc.boolean() }),
  fc.record({ kind: fc.constant('visibility' as const), isHidden: fc.boolean() }),
  fc.record({ kind: fc.constant('connection' as const), isMetered: fc.boolean() }),
  fc.record({
    kind: fc.constant('pressure' as const),
    level: fc.constantFrom('nominal', 'fair', 'serious', 'critical'),
  }),
  fc.record({ kind: fc.constant('moved' as const), bytes: fc.nat(30e6) }),
  fc.record({
    kind: fc.constantFrom(
      'pause' as const,
      'resume' as const,
      'resume' as const,
      'snooze' as const,
      'tick' as const,
    ),
  }),
)

const anySettings = fc.record({
  dutyCycle: fc.double({ min: 0.05, max: 1, noNaN: true }),
  pausesOnBattery: fc.boolean(),
  runsHidden: fc.boolean(),
  backsOff: fc.boolean(),
  dataCapBytes: fc.option(fc.integer({ min: 10e6, max: 100e6 })),
  schedule: fc.record({
    isOn: fc.boolean(),
    days: fc.array(fc.boolean(), { minLength: 7, maxLength: 7 }),
    fromMinute: fc.nat(1439),
    toMinute: fc.nat(1439),
  }),
})

test('whatever happens, work runs only when no rule says no, and never beyond the share that was asked for', () => {
  const told = new Set<string>()
  fc.assert(
    fc.property(
      anySettings,
      fc.array(fc.tuple(events, fc.nat(2 * hour)), { maxLength: 60, size: 'max' }),
      (own, list) => {
        let state: GovernorState = newGovernor({ ...settings, ...own }, { day: utc(start).day, bytes: 0 })
        const seen = {
          isPaused: false,
          snoozeEnds: 0,
          isOnBattery: false,
          isHidden: false,
          day: '',
          bytes: 0,
          moved: 0,
        }
        let now = start
        for (const [event, after] of list) {
          now += after
          if (utc(now).day !== seen.day) Object.assign(seen, { day: utc(now).day, bytes: 0 })
          if (event.kind === 'pause') Object.assign(seen, { isPaused: true, snoozeEnds: 0 })
          if (event.kind === 'resume') Object.assign(seen, { isPaused: false, snoozeEnds: 0 })
          if (event.kind === 'snooze') Object.assign(seen, { isPaused: false, snoozeEnds: now + hour })
          if (event.kind === 'battery') seen.isOnBattery = event.isOnBattery
          if (event.kind === 'visibility') seen.isHidden = event.isHidden
          if (event.kind === 'moved') {
            seen.bytes += event.bytes >= seen.moved ? event.bytes - seen.moved : event.bytes
            seen.moved = event.bytes
          }
          state = governor(state, event, now, utc)
          const { limits, pause } = allowanceOf(state, now, utc)
          told.add(pause?.reason ?? 'runs')
          expect(limits.mayRun).toBe(pause === null)
          expect(limits.dutyCycle).toBeLessThanOrEqual(Math.max(0.05, own.dutyCycle))
          if (!limits.mayRun) continue
          expect(seen.isPaused || now < seen.snoozeEnds).toBe(false)
          expect(own.pausesOnBattery && seen.isOnBattery).toBe(false)
          expect(!own.runsHidden && seen.isHidden).toBe(false)
          expect(own.dataCapBytes !== null && seen.bytes >= own.dataCapBytes).toBe(false)
        }
      },
    ),
    { numRuns: 400, seed: 11 },
  )
  expect([...told].sort()).toEqual(['asked', 'battery', 'data', 'hidden', 'runs', 'schedule', 'snoozed'])
})

describe('settings that come back from storage', () => {
  test('come back as they were', () => {
    const own: GovernorSettings = {
      ...settings,
      threads: 8,
      dataCapBytes: 1e9,
      schedule: nights,
      keepsAwake: true,
    }
    expect(decodeSettings(JSON.parse(JSON.stringify(own)), 8)).toEqual(own)
  })

  test.each([
    ['nothing', undefined],
    ['text', 'all of it'],
    ['a share of zero', { dutyCycle: 0 }],
    ['more threads than the machine has', { threads: 9 }],
    ['half a thread', { threads: 1.5 }],
    ['a cap below one model', { dataCapBytes: 1 }],
    ['six days a week', { schedule: { ...nights, days: [true, true, true, true, true, true] } }],
    ['an hour that does not exist', { schedule: { ...nights, toMinute: 1440 } }],
  ])('%s gives the defaults', (_name, value) => {
    expect(decodeSettings(value, 8)).toEqual(defaultSettings(8))
  })

  test('one wrong field does not cost the others', () => {
    expect(decodeSettings({ dutyCycle: 7, pausesOnBattery: false }, 8)).toEqual({
      ...defaultSettings(8),
      pausesOnBattery: false,
    })
  })
})

test('the defaults leave half of the processor alone, and one thread of a single one works', () => {
  expect([defaultSettings(8).threads, defaultSettings(1).threads]).toEqual([4, 1])
  expect(defaultSettings(8)).toMatchObject({ dutyCycle: 0.5, pausesOnBattery: true, keepsAwake: false })
})

test('days, hours and opening times agree for every schedule: at the opening it is open, and not before', () => {
  const one = fc.record({
    at: fc.nat(7 * 24 * 60),
    schedule: anySettings.map(({ schedule }) => ({ ...schedule, isOn: true })),
  })
  let openings = 0
  fc.assert(
    fc.property(one, ({ at, schedule }) => {
      const now = start + at * minute
      const pauseAt = (ms: number) =>
        allowanceOf(newGovernor({ ...settings, schedule }, { day: '', bytes: 0 }), ms, utc).pause
      const until = pauseAt(now)?.untilMs ?? null
      if (until === null) return
      openings++
      expect(pauseAt(until)).toBeNull()
      expect(pauseAt(until - minute)?.reason).toBe('schedule')
    }),
    { numRuns: 500, seed: 5 },
  )
  expect(openings).toBeGreaterThan(200)
})
