/** Sizes, shares and times as the page writes them. Pure; a number and its unit stay on one line. */

import { count, bytes as writeBytes, loss as writeLoss } from '../../protocols/core/quantities.ts'

/** A space that no line breaks at. */
const gap = '\u00a0'

/** `3.4 MB`. `value` >= 0. */
export function bytes(value: number): string {
  return writeBytes(value, gap)
}

/** A loss with four digits: `0.2315`, `2.303`, `1.2e-5`. */
export function loss(value: number): string {
  return Number.isFinite(value) ? writeLoss(value) : 'not finite'
}

/** `0.8 s`, `48 s`, `3 min`, `2 h 05 min`. `ms` >= 0. */
export function duration(ms: number): string {
  const seconds = ms / 1000
  if (seconds < 9.95) return `${seconds.toFixed(1)}${gap}s`
  if (seconds < 59.5) return `${Math.round(seconds)}${gap}s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 60) return `${minutes}${gap}min`
  return `${Math.floor(minutes / 60)}${gap}h ${String(minutes % 60).padStart(2, '0')}${gap}min`
}

/** `42 %`, and `4.2 %` below ten. `share` from 0 to 1. */
export function percent(share: number): string {
  const value = share * 100
  return `${value > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)}${gap}%`
}

/** `98.5 %`, `97 %`: an accuracy near its target differs in the digit that {@link percent} leaves out. */
export function accuracy(share: number): string {
  return `${Number((share * 100).toFixed(1))}${gap}%`
}

/** `22:05`, in the browser's time zone. `ms`: milliseconds since 1970. */
export function clockTime(ms: number): string {
  return new Date(ms).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })
}

/** `22:05` for the same day as `nowMs`, `Sun 22:05` for another. */
export function moment(ms: number, nowMs: number): string {
  const date = new Date(ms)
  if (date.toDateString() === new Date(nowMs).toDateString()) return clockTime(ms)
  return `${date.toLocaleDateString('en-GB', { weekday: 'short' })} ${clockTime(ms)}`
}

/** `22 November 2026`. */
export function day(ms: number): string {
  return new Date(ms).toLocaleDateString('en-GB', { day: 'numeric', month: 'long', year: 'numeric' })
}

/** `1 peer`, `4 peers`. */
export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`
}
