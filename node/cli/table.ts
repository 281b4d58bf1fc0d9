/**
 * A table for people: columns as wide as their widest cell, two spaces apart. Names come from strangers and are
 * printable.
 */

export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows]
  const widths = header.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)))
  const line = (row: readonly string[]) =>
    widths
      .map((width, column) => (row[column] ?? '').padEnd(width))
      .join('  ')
      .trimEnd()
  return `${all.map(line).join('\n')}\n`
}
