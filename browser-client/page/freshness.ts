/** Whether what the page shows is still true: how long the peer in this tab has been silent, or has reached nobody. Pure. */

/** `silent`: the peer in this tab says nothing. `cut`: it can reach nobody. */
export interface Staleness {
  cause: 'silent' | 'cut'
  forMs: number
}

/** What was last heard from a donation. Times are milliseconds of one clock. */
export interface Heard {
  heardMs: number
  /** What it said about being connected. */
  isConnected: boolean
  /** When it last was; `null` before it ever was. */
  connectedMs: number | null
}

/** A donation says something at least every two seconds (donation.ts); after three such silences it may be gone. */
const staleAfterMs = 6000

/** What was heard before anything was. */
export function nothingHeard(nowMs: number): Heard {
  return { heardMs: nowMs, isConnected: false, connectedMs: null }
}

/** `heard` after the donation spoke at `nowMs`. */
export function afterHearing(heard: Heard, isConnected: boolean, nowMs: number): Heard {
  return { heardMs: nowMs, isConnected, connectedMs: isConnected ? nowMs : heard.connectedMs }
}

/** Why what was heard is no longer true, and for how long; `null` while it is. */
export function stalenessOf({ heardMs, isConnected, connectedMs }: Heard, nowMs: number): Staleness | null {
  if (nowMs - heardMs >= staleAfterMs) return { cause: 'silent', forMs: nowMs - heardMs }
  if (isConnected || connectedMs === null) return null
  return { cause: 'cut', forMs: Math.max(0, nowMs - connectedMs) }
}
