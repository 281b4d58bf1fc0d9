/** The donor's calendar: the one place of the governor that knows about time zones. */

import type { LocalTime } from './schedule.ts'

/** The local time at `nowMs`, milliseconds since 1970, in the time zone that the browser runs in. */
export function localCalendar(nowMs: number): LocalTime {
  const date = new Date(nowMs)
  const two = (value: number): string => String(value).padStart(2, '0')
  return {
    day: `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`,
    weekday: date.getDay(),
    minute: date.getHours() * 60 + date.getMinutes(),
  }
}
