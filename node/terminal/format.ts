/** Times, shares and the words of strangers as a terminal shows them. Pure; widths are in columns. */

/** `48s`, `3m 07s`, `2h 05m`. */
export function duration(seconds: number): string {
  const whole = Math.floor(seconds)
  const pad = (value: number): string => String(value).padStart(2, '0')
  if (whole < 60) return `${whole}s`
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${pad(whole % 60)}s`
  return `${Math.floor(whole / 3600)}h ${pad(Math.floor(whole / 60) % 60)}m`
}

/** `94.2 %`. `share` from 0 to 1. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}

/**
 * `text` without the characters that steer a terminal (C0, C1, and those that turn the writing direction), cut to
 * `width` characters: text of strangers, shown to a person.
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
