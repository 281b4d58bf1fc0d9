/**
 * Whether what the page shows is still true: how long the peer in this tab has been silent, or has reached nobody.
 * Pure.
 */

/**
 * `silent`: the peer in this tab says nothing. `cut`: it can reach nobody any more. `unreached`: it has never reached
 * anybody.
 */
export interface Staleness {
  cause: 'silent' | 'cut' | 'unreached'
  forMs: number
}

/** What was last heard from a donation. Times are milliseconds of one clock. */
export interface Heard {
  /** Start of the donation. */
  startedMs: number
  heardMs: number
  /** What it said about being connected. */
  isConnected: boolean
  /** When it last was; `null` before it ever was. */
  connectedMs: number | null
}

/** A donation says something at least every two seconds (donation.ts); after three such silences it may be gone. */
const staleAfterMs = 6000

/**
 * A first connection takes a second or two, over a relay five; an address that nobody answers is given up by libp2p
 * after ten.
 */
const reachMsMax = 15_000

/** What was heard before anything was. */
export function nothingHeard(nowMs: number): Heard {
  return { startedMs: nowMs, heardMs: nowMs, isConnected: false, connectedMs: null }
}

/** `heard` after the donation spoke at `nowMs`. */
export function afterHearing(heard: Heard, isConnected: boolean, nowMs: number): Heard {
  return { ...heard, heardMs: nowMs, isConnected, connectedMs: isConnected ? nowMs : heard.connectedMs }
}

/** Why what was heard is no longer true, and for how long; `null` while it is. */
export function stalenessOf(
  { startedMs, heardMs, isConnected, connectedMs }: Heard,
  nowMs: number,
): Staleness | null {
  if (nowMs - heardMs >= staleAfterMs) return { cause: 'silent', forMs: nowMs - heardMs }
  if (isConnected) return null
  if (connectedMs === null) {
    const forMs = nowMs - startedMs
    return forMs < reachMsMax ? null : { cause: 'unreached', forMs }
  }
  return { cause: 'cut', forMs: Math.max(0, nowMs - connectedMs) }
}
