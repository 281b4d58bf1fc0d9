/**
 * The hours in which a donor lends the machine: a window of the day, on some days of the week.
 *
 * A window may run over midnight (22:00 to 07:00); it then belongs to the day on which it opens, so "Friday night" ends
 * on Saturday morning. Equal ends mean the whole day. Nothing here reads a clock or a time zone: whoever calls passes a
 * {@link LocalTime}.
 */

/** A moment on the donor's own calendar. */
export interface LocalTime {
  /** The date as `2026-11-22`: names the day whose data is counted. */
  day: string
  /** 0 is Sunday, as in `Date.getDay`. */
  weekday: number
  /** Minutes since midnight, 0 to 1439. */
  minute: number
}

export interface Schedule {
  /** False: every hour is open, whatever the rest says. */
  isOn: boolean
  /** Seven flags, Sunday first: the days on which the window opens. */
  days: readonly boolean[]
  /** Minutes since midnight, 0 to 1439. */
  fromMinute: number
  toMinute: number
}

export const minutesPerDay = 1440

/** No schedule; switched on it starts as every night from ten to seven. */
export const alwaysOpen: Schedule = {
  isOn: false,
  days: [true, true, true, true, true, true, true],
  fromMinute: 22 * 60,
  toMinute: 7 * 60,
}

/** Whether `schedule` lets work run at `time`. */
export function isOpen(
  { isOn, days, fromMinute, toMinute }: Schedule,
  { weekday, minute }: LocalTime,
): boolean {
  if (!isOn) return true
  const [today, yesterday] = [days[weekday] === true, days[(weekday + 6) % 7] === true]
  if (fromMinute === toMinute) return today
  if (fromMinute < toMinute) return today && minute >= fromMinute && minute < toMinute
  return (today && minute >= fromMinute) || (yesterday && minute < toMinute)
}

/** Minutes from `time` to the next opening, more than 0; `null` when it is open, or no day is chosen. */
export function minutesToOpening(schedule: Schedule, time: LocalTime): number | null {
  if (isOpen(schedule, time)) return null
  const opensAt = schedule.fromMinute === schedule.toMinute ? 0 : schedule.fromMinute
  for (let ahead = 0; ahead <= 7; ahead++) {
    const minutes = ahead * minutesPerDay + opensAt - time.minute
    if (minutes > 0 && schedule.days[(time.weekday + ahead) % 7] === true) return minutes
  }
  return null
}

/** A schedule from storage; `undefined` unless every field of it is right. */
export function decodeSchedule(value: unknown): Schedule | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { isOn, days, fromMinute, toMinute } = value as Record<string, unknown>
  if (typeof isOn !== 'boolean' || !isMinute(fromMinute) || !isMinute(toMinute)) return undefined
  if (!Array.isArray(days) || days.length !== 7) return undefined
  return { isOn, days: days.map((day) => day === true), fromMinute, toMinute }
}

function isMinute(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < minutesPerDay
}
