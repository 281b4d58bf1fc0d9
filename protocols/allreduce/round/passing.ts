/**
 * How a word reaches everyone although nobody is linked with everyone: a leader's or a councillor's along its column,
 * and from there along the rows.
 *
 *     origin ──▶ its column ──▶ each of them to its row                              everyone, in two hops
 *     origin ──▶ its row mate in the next column ──▶ that column ──▶ their rows      everyone again: one path may be cut
 *
 * Each peer therefore hears twice what the origin said once, and no path has a state that could get lost. Guests hear
 * it from the row that they are linked with. A roster goes the other way: from the leader's row mate to the leader.
 *
 * What is believed of what comes this way stands in `relaying.ts`. With one row nothing is passed on.
 */

import type { Grid } from '../plan/grid.ts'
import type { Session } from './session.ts'
import type { Relayed } from './vocabulary.ts'

/** To whom this peer passes on what `origin` said, having heard it from `from`. */
export function passOnTo(
  grid: Grid,
  session: Session,
  { origin, from, message }: { origin: string; from: string; message: Relayed },
): string[] {
  const { self } = session
  if (grid.rowCount === 1 || !grid.isMember(self) || !grid.isMember(origin)) return []
  if (message.kind === 'Roster') {
    const isForMate = message.leader !== self && grid.areRowMates(self, message.leader)
    return isForMate && grid.areColumnMates(self, origin) ? [message.leader] : []
  }
  const rowMates = session
    .linkedPeers()
    .filter((peer) => !grid.isMember(peer) || grid.areRowMates(self, peer))
  if (from === origin && grid.areRowMates(self, origin))
    return isNextTo(grid, session, origin) ? columnMates(grid, session) : []
  const isFromColumn = grid.areColumnMates(self, from) && !grid.areRowMates(self, from)
  const isOfOriginsRow = from === origin || grid.areRowMates(from, origin)
  return isFromColumn && isOfOriginsRow ? rowMates : []
}

/** This peer sits in the first column after the origin's whose peer, in the origin's row, is here. */
function isNextTo(grid: Grid, session: Session, origin: string): boolean {
  const own = grid.columnOf(session.self)
  const origins = grid.columnOf(origin)
  if (own === undefined || origins === undefined) return false
  const row = grid.rowOf(origin)!
  const { columnCount } = grid
  for (let column = (origins + 1) % columnCount; column !== own; column = (column + 1) % columnCount)
    if (column !== origins && session.isLive(grid.at(row, column))) return false
  return true
}

function columnMates(grid: Grid, session: Session): string[] {
  return session
    .linkedPeers()
    .filter((peer) => grid.areColumnMates(session.self, peer) && !grid.areRowMates(session.self, peer))
}
