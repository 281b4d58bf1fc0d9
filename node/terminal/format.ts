/** Numbers, times and names as people read them in a terminal. Pure; widths are in columns. */

/** `1,532`. For counts and rates; rounds to whole numbers from 10 up, to one digit below. */
export function count(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: Math.abs(value) < 10 ? 1 : 0 })
}

/** `3.4 MB`, in powers of 1000 as network rates are. `bytes` >= 0. */
export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let unit = 0
  let scaled = value
  while (scaled >= 999.5 && unit < units.length - 1) {
    scaled /= 1000
    unit++
  }
  return `${unit === 0 || scaled >= 99.95 ? Math.round(scaled) : scaled.toFixed(1)} ${units[unit]}`
}

/** `48s`, `3m 07s`, `2h 05m`. */
export function duration(seconds: number): string {
  const whole = Math.floor(seconds)
  const pad = (value: number): string => String(value).padStart(2, '0')
  if (whole < 60) return `${whole}s`
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${pad(whole % 60)}s`
  return `${Math.floor(whole / 3600)}h ${pad(Math.floor(whole / 60) % 60)}m`
}

/** A loss with four digits: `0.2315`, `2.303`, `1.2e-5`; `nan` and `inf` in words that sort after any number. */
export function loss(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return 'inf'
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(1)
  return Math.abs(value) < 1 ? value.toFixed(4) : String(Number(value.toPrecision(4)))
}

/** `94.2 %`. `share` from 0 to 1. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}

/** A peer id's last six characters: its first ones are the same for all Ed25519 keys. */
export function shortId(id: string): string {
  return id.slice(-6)
}

/**
 * `text` without the characters that steer a terminal (C0, C1, and those that turn the writing direction), cut to `width`
 * characters: text of strangers, shown to a person.
 */
export function printable(text: string, width = 200): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this removes
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '')
  return cut(clean, width)
}

/** `text`, or as much of it as fits into `width` columns, with an ellipsis. */
export function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`
}
