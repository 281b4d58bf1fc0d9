/**
 * The donor's governor: what happened to the machine and what the donor wants, in; what the worker may do, out.
 *
 *     state + event + now ──▶ state ──▶ allowance { limits for the worker, why it is paused }
 *
 * Any one rule that says no pauses the work; the first of them in the order of {@link pauseAt} is the one the donor is
 * told. Pure: the wall clock, the calendar and all that sensors see are arguments, so every rule is tested without a
 * browser.
 */

import type { WorkLimits } from '../donation.ts'
import { afterPressure, calm, type Pressure, type PressureLevel, pressureFactor } from './pressure.ts'
import { isOpen, type LocalTime, minutesPerDay, minutesToOpening } from './schedule.ts'
import { dutyCycleMin, type GovernorSettings } from './settings.ts'

/** Bytes moved on one day of the donor's calendar. Kept across reloads. */
export interface DataDay {
  /** As {@link LocalTime.day}. */
  day: string
  bytes: number
}

/** Immutable. */
export interface GovernorState {
  settings: GovernorSettings
  /** False where the browser does not tell. */
  isOnBattery: boolean
  isHidden: boolean
  /** The browser was asked to save data, or says that the connection is metered. */
  isMetered: boolean
  pressure: Pressure
  dataDay: DataDay
  /** What the donation had moved when it was last heard of. */
  bytesMoved: number
  isPaused: boolean
  /** Milliseconds since 1970; `null` when not snoozed. */
  snoozedUntilMs: number | null
}

export type GovernorEvent =
  | { kind: 'settings'; settings: GovernorSettings }
  | { kind: 'battery'; isOnBattery: boolean }
  | { kind: 'visibility'; isHidden: boolean }
  | { kind: 'connection'; isMetered: boolean }
  | { kind: 'pressure'; level: PressureLevel }
  /** Bytes sent and received since the donation started. */
  | { kind: 'moved'; bytes: number }
  | { kind: 'pause' }
  | { kind: 'resume' }
  | { kind: 'snooze' }
  /** Time has passed. */
  | { kind: 'tick' }

export type PauseReason = 'asked' | 'snoozed' | 'battery' | 'data' | 'schedule' | 'hidden'

export interface Pause {
  reason: PauseReason
  /** When it ends by itself, milliseconds since 1970; `null` when that depends on the donor or the machine. */
  untilMs: number | null
}

export interface Allowance {
  limits: WorkLimits
  /** Why nothing runs; `null` while work may run. */
  pause: Pause | null
  /** True while the share is less than the donor set, because the machine is hot or busy. */
  isBackingOff: boolean
}

/** The donor's calendar: the local time at `nowMs`, milliseconds since 1970. */
export type Calendar = (nowMs: number) => LocalTime

export const snoozeMs = 3_600_000

/**
 * From this share of the day's cap on data is saved. A round then costs about half (test/e2e/donor.test.ts), so that
 * the rest of the day's data lasts twice as long.
 */
const savingShare = 0.7

/** The state of a tab that was just opened. `dataDay` as it was kept, of whatever day. */
export function newGovernor(settings: GovernorSettings, dataDay: DataDay): GovernorState {
  return {
    settings,
    isOnBattery: false,
    isHidden: false,
    isMetered: false,
    pressure: calm,
    dataDay,
    bytesMoved: 0,
    isPaused: false,
    snoozedUntilMs: null,
  }
}

/** What `state` becomes by `event` at `nowMs`, milliseconds since 1970. */
export function governor(
  state: GovernorState,
  event: GovernorEvent,
  nowMs: number,
  calendar: Calendar,
): GovernorState {
  const { day } = calendar(nowMs)
  const dataDay = state.dataDay.day === day ? state.dataDay : { day, bytes: 0 }
  const isSnoozeOver = state.snoozedUntilMs !== null && nowMs >= state.snoozedUntilMs
  const pressure = afterPressure(state.pressure, state.pressure.level, nowMs)
  const current = { ...state, dataDay, pressure, snoozedUntilMs: isSnoozeOver ? null : state.snoozedUntilMs }
  switch (event.kind) {
    case 'settings':
      return { ...current, settings: event.settings }
    case 'battery':
      return { ...current, isOnBattery: event.isOnBattery }
    case 'visibility':
      return { ...current, isHidden: event.isHidden }
    case 'connection':
      return { ...current, isMetered: event.isMetered }
    case 'pressure':
      return { ...current, pressure: afterPressure(state.pressure, event.level, nowMs) }
    case 'moved':
      return moved(current, event.bytes)
    case 'pause':
      return { ...current, isPaused: true, snoozedUntilMs: null }
    case 'resume':
      return { ...current, isPaused: false, snoozedUntilMs: null }
    case 'snooze':
      return { ...current, isPaused: false, snoozedUntilMs: nowMs + snoozeMs }
    case 'tick':
      return current
  }
}

/** What the worker may do in `state` at `nowMs`. */
export function allowanceOf(state: GovernorState, nowMs: number, calendar: Calendar): Allowance {
  const { settings, dataDay, isMetered } = state
  const pause = pauseAt(state, nowMs, calendar)
  const factor = settings.backsOff ? pressureFactor(state.pressure) : 1
  const { dataCapBytes } = settings
  return {
    limits: {
      mayRun: pause === null,
      dutyCycle: Math.max(dutyCycleMin, settings.dutyCycle * factor),
      threads: settings.threads,
      mayUseGpu: settings.mayUseGpu,
      savesData: isMetered || (dataCapBytes !== null && dataDay.bytes >= dataCapBytes * savingShare),
    },
    pause,
    isBackingOff: factor < 1,
  }
}

/** The first rule that says no; the donor's own word comes first. */
function pauseAt(state: GovernorState, nowMs: number, calendar: Calendar): Pause | null {
  const { settings, dataDay } = state
  const time = calendar(nowMs)
  const minuteMs = Math.floor(nowMs / 60_000) * 60_000
  if (state.isPaused) return { reason: 'asked', untilMs: null }
  if (state.snoozedUntilMs !== null && nowMs < state.snoozedUntilMs)
    return { reason: 'snoozed', untilMs: state.snoozedUntilMs }
  if (settings.pausesOnBattery && state.isOnBattery) return { reason: 'battery', untilMs: null }
  if (settings.dataCapBytes !== null && dataDay.day === time.day && dataDay.bytes >= settings.dataCapBytes)
    return { reason: 'data', untilMs: minuteMs + (minutesPerDay - time.minute) * 60_000 }
  if (!isOpen(settings.schedule, time)) {
    const minutes = minutesToOpening(settings.schedule, time)
    return { reason: 'schedule', untilMs: minutes === null ? null : minuteMs + minutes * 60_000 }
  }
  if (!settings.runsHidden && state.isHidden) return { reason: 'hidden', untilMs: null }
  return null
}

/** Adds to the day what was moved since last heard; a count that went back is that of a new donation. */
function moved(state: GovernorState, bytes: number): GovernorState {
  const added = bytes >= state.bytesMoved ? bytes - state.bytesMoved : bytes
  return {
    ...state,
    bytesMoved: bytes,
    dataDay: { ...state.dataDay, bytes: state.dataDay.bytes + added },
  }
}

/** The day that was kept, or one of no data when what was kept is not one. */
export function decodeDataDay(value: unknown): DataDay {
  const { day, bytes } = (value ?? {}) as Record<string, unknown>
  const isDataDay = typeof day === 'string' && typeof bytes === 'number' && bytes >= 0
  return isDataDay ? { day, bytes } : { day: '', bytes: 0 }
}
