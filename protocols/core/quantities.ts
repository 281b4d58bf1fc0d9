/**
 * Numbers as people read them, the same on the page, in a terminal and in a log. Pure. How long something took is not
 * here: a terminal counts its seconds, the page rounds to minutes.
 */

/** `1,532`. For counts and rates; rounds to whole numbers from 10 up, to one digit below. */
export function count(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: Math.abs(value) < 10 ? 1 : 0 })
}

/** `3.4 MB`, in powers of 1000 as network rates are. `value` >= 0; `gap` stands between number and unit. */
export function bytes(value: number, gap = ' '): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let unit = 0
  let scaled = value
  while (scaled >= 999.5 && unit < units.length - 1) {
    scaled /= 1000
    unit++
  }
  return `${unit === 0 || scaled >= 99.95 ? Math.round(scaled) : scaled.toFixed(1)}${gap}${units[unit]}`
}

/** A loss with four digits: `0.2315`, `2.303`, `1.2e-5`; `NaN` and `Infinity` as they are. */
export function loss(value: number): string {
  if (!Number.isFinite(value)) return String(value)
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(1)
  return Math.abs(value) < 1 ? value.toFixed(4) : String(Number(value.toPrecision(4)))
}

/** A peer id's last six characters: its first ones are the same for all Ed25519 keys. */
export function shortId(id: string): string {
  return id.slice(-6)
}
