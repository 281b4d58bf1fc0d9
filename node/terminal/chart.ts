/**
 * Line charts in braille: each character is a grid of 2 × 4 dots, so a chart of 40 × 6 characters has 80 × 24 points.
 *
 *     bit of a dot in a braille character (Unicode 6.0, block U+2800):     0 3
 *                                                                          1 4
 *                                                                          2 5
 *                                                                          6 7
 */

/** `y` over `x`; points whose `y` is not finite are left out. */
export interface Point {
  x: number
  y: number
}

export interface ChartSize {
  /** Columns in all, the labels of the y axis included; >= 16. */
  width: number
  /** Lines; >= 2. */
  height: number
}

export interface ChartOptions extends ChartSize {
  /** A dotted line across the chart, always inside the range shown. */
  target?: number
  /** Writes a value of the y axis. */
  label(value: number): string
}

const dotsX = 2
const dotsY = 4
const brailleBits = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const

/** The chart's lines, top first, each at most `width` columns. Without points: lines with an empty axis. */
export function chart(points: readonly Point[], { width, height, target, label }: ChartOptions): string[] {
  const finite = points.filter(({ y }) => Number.isFinite(y))
  if (finite.length === 0) return Array.from({ length: height }, () => '│')
  const [low, high] = range([...finite.map(({ y }) => y), ...(target === undefined ? [] : [target])])
  const [topLabel, bottomLabel] = [label(high), label(low)]
  const labelWidth = Math.max(topLabel.length, bottomLabel.length)
  const grid = new BrailleGrid(width - labelWidth - 2, height)
  const [left, right] = [finite[0]!.x, finite.at(-1)!.x]
  const column = (x: number): number => Math.round(((x - left) / (right - left || 1)) * (grid.dotColumns - 1))
  const row = (y: number): number => Math.round(((high - y) / (high - low)) * (grid.dotRows - 1))
  if (target !== undefined) grid.dottedLine(row(target))
  for (const [index, point] of finite.entries()) {
    const from = finite[Math.max(0, index - 1)]!
    grid.line(column(from.x), row(from.y), column(point.x), row(point.y))
  }
  return grid.lines().map((line, index) => {
    const text = index === 0 ? topLabel : index === height - 1 ? bottomLabel : ''
    return `${text.padStart(labelWidth)} │${line}`
  })
}

/** Least and greatest of `values`; a band around a single one, so that a flat line lies in the middle. */
function range(values: readonly number[]): [number, number] {
  const low = values.reduce((a, b) => Math.min(a, b))
  const high = values.reduce((a, b) => Math.max(a, b))
  const band = Math.abs(low) / 10 || 1
  return low === high ? [low - band, high + band] : [low, high]
}

class BrailleGrid {
  readonly dotColumns: number
  readonly dotRows: number
  readonly #cells: Uint8Array
  readonly #columns: number

  constructor(columns: number, rows: number) {
    this.#columns = columns
    this.dotColumns = columns * dotsX
    this.dotRows = rows * dotsY
    this.#cells = new Uint8Array(columns * rows)
  }

  /** Bresenham's line: every dot on the way from one point to the other. */
  line(fromX: number, fromY: number, toX: number, toY: number): void {
    const [stepX, stepY] = [Math.sign(toX - fromX), Math.sign(toY - fromY)]
    const [distanceX, distanceY] = [Math.abs(toX - fromX), -Math.abs(toY - fromY)]
    let [x, y, error] = [fromX, fromY, distanceX + distanceY]
    while (true) {
      this.#dot(x, y)
      if (x === toX && y === toY) return
      const doubled = 2 * error
      if (doubled >= distanceY) {
        error += distanceY
        x += stepX
      }
      if (doubled <= distanceX) {
        error += distanceX
        y += stepY
      }
    }
  }

  /** One dot in every second character, so that a curve on top of it stays readable. */
  dottedLine(y: number): void {
    for (let x = 0; x < this.dotColumns; x += 2 * dotsX) this.#dot(x, y)
  }

  lines(): string[] {
    const lines: string[] = []
    for (let start = 0; start < this.#cells.length; start += this.#columns) {
      const cells = this.#cells.subarray(start, start + this.#columns)
      lines.push([...cells].map((bits) => (bits === 0 ? ' ' : String.fromCodePoint(0x2800 + bits))).join(''))
    }
    return lines.map((line) => line.trimEnd())
  }

  #dot(x: number, y: number): void {
    const cell = Math.floor(y / dotsY) * this.#columns + Math.floor(x / dotsX)
    this.#cells[cell] = this.#cells[cell]! | brailleBits[x % dotsX]![y % dotsY]!
  }
}
