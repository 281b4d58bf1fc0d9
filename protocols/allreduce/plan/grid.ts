/**
 * The rows and columns in which the peers of a run stand, derived from the electorate alone: whoever holds a state
 * knows the grid of its round, with nothing to be agreed on.
 *
 *     electorate  a b c d e f g …      in the order of its seats; up to `rowPeersMax` are one row
 *
 *          column  0 1 2 3
 *     row 0        a b c d      √N rows of √N peers: each knows its row and its column, N = 10,000 → 198 links
 *     row 1        e f g h      parts are summed in the row, the rows' sums in the column
 *     row 2        i j k        rows differ by one seat at most; the column past the shortest row is not used
 *
 * The *council* decides the round (Paxos): everyone where there is one row, else at most `councilPeers`, who sit in as
 * few columns as hold them: councillors talk to each other, and those of a column are linked anyway. Columns and peers
 * are drawn by a hash of the root. Who sits where in the next round is `seating.ts`; who is alive is the machine's
 * business.
 */

import { councilPeers, rowPeersMax } from '../../core/limits.ts'
import { seedFrom } from '../../core/random.ts'
import { leaderOrder } from './electorate.ts'

/** Rows of a grid with `seats` members. */
export function rowCountOf(seats: number): number {
  return seats <= rowPeersMax ? 1 : Math.round(Math.sqrt(seats))
}

/** Row of seat `seat` among `seats`. Guests, who have higher seats, are dealt out to the rows in turn. */
export function rowOfSeat(seat: number, seats: number): number {
  const rows = rowCountOf(seats)
  if (seat >= seats) return seat % rows
  const { length, longer } = lengths(seats)
  const inLonger = longer * (length + 1)
  return seat < inLonger ? Math.floor(seat / (length + 1)) : longer + Math.floor((seat - inLonger) / length)
}

/** Column of seat `seat` among `seats`; undefined for guests and for seats past the shortest row. */
export function columnOfSeat(seat: number, seats: number): number | undefined {
  if (seat >= seats) return undefined
  const column = seat - firstSeat(rowOfSeat(seat, seats), seats)
  return column < columnCountOf(seats) ? column : undefined
}

/** Columns: the length of the shortest row. */
export function columnCountOf(seats: number): number {
  return lengths(seats).length
}

/** The seat in `row` and `column`. */
export function seatAt(row: number, column: number, seats: number): number {
  return firstSeat(row, seats) + column
}

function firstSeat(row: number, seats: number): number {
  const { length, longer } = lengths(seats)
  return row * length + Math.min(row, longer)
}

/** `longer` rows have one seat more than `length`. */
function lengths(seats: number): { length: number; longer: number } {
  const rows = rowCountOf(seats)
  return { length: Math.floor(seats / rows), longer: seats % rows }
}

/** Electorate → root → the grid: a state is asked for its grid more than once, and ten thousand seats are many. */
const grids = new WeakMap<readonly string[], Map<string, Grid>>()

/** The grid of the round that starts from `root`; `electorate` does not change from here on. */
export function gridOf(root: string, electorate: readonly string[]): Grid {
  const roots = grids.get(electorate) ?? new Map<string, Grid>()
  grids.set(electorate, roots)
  const grid = roots.get(root) ?? new Grid(root, electorate)
  roots.set(root, grid)
  return grid
}

/** The grid of the round that starts from `root`. */
export class Grid {
  /** Members in the order of their seats; empty before the first agreement. */
  readonly electorate: readonly string[]
  readonly rowCount: number
  /** Who decides, in the order in which they lead; empty before the first agreement. */
  readonly council: readonly string[]
  readonly #seats: ReadonlyMap<string, number>
  /** Made when it is asked for: a peer asks for its own at every event. */
  readonly #rows: (readonly string[])[] = []

  constructor(root: string, electorate: readonly string[]) {
    this.electorate = electorate
    this.rowCount = rowCountOf(electorate.length)
    this.#seats = new Map(electorate.map((peer, seat) => [peer, seat]))
    this.council = leaderOrder(root, this.rowCount === 1 ? electorate : this.#drawCouncil(root))
  }

  seatOf(peer: string): number | undefined {
    return this.#seats.get(peer)
  }

  isMember(peer: string): boolean {
    return this.#seats.has(peer)
  }

  /** The row of a member; undefined for guests. With one row everyone is in it. */
  rowOf(peer: string): number | undefined {
    if (this.rowCount === 1) return 0
    const seat = this.#seats.get(peer)
    return seat === undefined ? undefined : rowOfSeat(seat, this.electorate.length)
  }

  columnOf(peer: string): number | undefined {
    const seat = this.#seats.get(peer)
    return seat === undefined ? undefined : columnOfSeat(seat, this.electorate.length)
  }

  /** Columns that reach through all rows. */
  get columnCount(): number {
    return columnCountOf(this.electorate.length)
  }

  /** Column by column, until there are enough. The full columns alone: a leader needs a mate in every row. */
  #drawCouncil(root: string): string[] {
    const size = Math.min(councilPeers, 2 * this.rowCount + 1)
    const columns = Array.from({ length: this.columnCount }, (_, column) => column)
    const lots = columns.map((column) => seedFrom(root, 'column', column) >>> 0)
    const council: string[] = []
    for (const column of columns.sort((a, b) => lots[a]! - lots[b]! || a - b)) {
      const mates = Array.from({ length: this.rowCount }, (_, row) => this.at(row, column))
      council.push(...leaderOrder(root, mates).slice(0, size - council.length))
      if (council.length === size) break
    }
    return council
  }

  /** Members of `row`, in the order of their seats. */
  row(row: number): readonly string[] {
    const seats = this.electorate.length
    this.#rows[row] ??= this.electorate.slice(firstSeat(row, seats), firstSeat(row + 1, seats))
    return this.#rows[row]
  }

  /** Members of the row of `peer`, with it, in the order of their seats; none for a guest. */
  rowMatesOf(peer: string): readonly string[] {
    return this.isMember(peer) ? this.row(this.rowOf(peer)!) : []
  }

  /** The member in `row` and `column`. */
  at(row: number, column: number): string {
    return this.electorate[seatAt(row, column, this.electorate.length)]!
  }

  areRowMates(a: string, b: string): boolean {
    return this.isMember(a) && this.isMember(b) && this.rowOf(a) === this.rowOf(b)
  }

  areColumnMates(a: string, b: string): boolean {
    const column = this.columnOf(a)
    return column !== undefined && column === this.columnOf(b)
  }

  /**
   * The members that `peer` is to be linked with for the length of the round: its row, its column, its fellow
   * councillors, who sit elsewhere only where one column is too short for all of them.
   */
  matesOf(peer: string): string[] {
    const row = this.rowOf(peer)
    const column = this.columnOf(peer)
    if (row === undefined || !this.isMember(peer)) return []
    const mates = new Set(this.row(row))
    for (let other = 0; column !== undefined && other < this.rowCount; other++)
      mates.add(this.at(other, column))
    if (this.council.includes(peer)) for (const councillor of this.council) mates.add(councillor)
    mates.delete(peer)
    return [...mates]
  }
}
