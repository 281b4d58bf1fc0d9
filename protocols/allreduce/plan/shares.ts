/**
 * How many parts each peer reduces, so that the slowest link is busy for the shortest time.
 *
 * With M peers, peer i moves load(f) = S · (1 + (M − 2) · f_i) each way, f_i its share of the vector S: everything it
 * does not reduce it sends once, and what it reduces it receives from, and returns to, M − 1 others. The shares that
 * make max load_i / b_i least fill up like water: f_i = (ξ · b_i − 1) / (M − 2) where that is positive. hivemind solves
 * the same problem with a linear program (load_balancing.py); its test vectors are ours. Knows no peers, only their
 * bandwidths.
 */

import { SwarmError } from '../../core/errors.ts'

/** Halvings of the water level: beyond 60 the f64 interval is empty. */
const bisections = 60

export interface ShareOptions {
  /**
   * Largest share of one peer, as a fraction of the whole, in (0, 1]. Default 1. Raised when the others cannot take the
   * rest.
   */
  fractionMax?: number
}

/**
 * Splits `total` parts over peers with the given bandwidths (any unit, the same for all; 0: cannot reduce; undefined:
 * unknown, counted as the mean of the known). Returns one count for each peer; their sum is `total`.
 * @throws {SwarmError} PEER_UNREACHABLE when every bandwidth is 0.
 */
export function balanceShares(
  total: number,
  bandwidths: readonly (number | undefined)[],
  { fractionMax = 1 }: ShareOptions = {},
): number[] {
  const known = bandwidths.filter((bandwidth) => bandwidth !== undefined && bandwidth > 0) as number[]
  const usual = known.length > 0 ? known.reduce((sum, bandwidth) => sum + bandwidth, 0) / known.length : 1
  const rates = bandwidths.map((bandwidth) => bandwidth ?? usual)
  const reducers = rates.filter((rate) => rate > 0).length
  if (reducers === 0)
    throw new SwarmError('PEER_UNREACHABLE', `none of ${rates.length} peers can reduce a part`, {
      hint: 'Let at least one peer accept connections.',
    })
  const cap = Math.max(fractionMax, 1 / reducers)
  return roundShares(total, rates, waterFill(rates, cap), Math.ceil(cap * total))
}

/** Fractions that sum to 1, each at most `cap`. */
function waterFill(rates: readonly number[], cap: number): number[] {
  const peers = rates.length
  const rateMax = Math.max(...rates)
  // With one or two peers the load does not depend on the shares: then they follow the bandwidths.
  const fraction = (rate: number, level: number): number =>
    rate === 0 ? 0 : Math.min(cap, Math.max(0, peers > 2 ? (level * rate - 1) / (peers - 2) : level * rate))
  const filled = (level: number): number => rates.reduce((sum, rate) => sum + fraction(rate, level), 0)
  const lowest = Math.min(...rates.filter((rate) => rate > 0))
  let low = 0
  let high = Math.max(peers, 2) / lowest // here even the slowest reducer's fraction reaches 1
  for (let i = 0; i < bisections; i++) {
    const middle = (low + high) / 2
    if (filled(middle) < 1) low = middle
    else high = middle
  }
  const fractions = rates.map((rate) => fraction(rate / rateMax, high * rateMax))
  const sum = fractions.reduce((total, value) => total + value, 0)
  return fractions.map((value) => value / sum)
}

/** Whole parts: each gets its floor, and every part left over goes where the finishing time stays least. */
function roundShares(
  total: number,
  rates: readonly number[],
  fractions: readonly number[],
  countMax: number,
): number[] {
  const counts = fractions.map((fraction) => Math.floor(fraction * total))
  const finish = (index: number): number =>
    (total + (rates.length - 2) * (counts[index]! + 1)) / rates[index]! - fractions[index]! * 1e-9
  for (let left = total - counts.reduce((sum, count) => sum + count, 0); left > 0; left--) {
    let best = -1
    for (let index = 0; index < rates.length; index++) {
      if (rates[index] === 0 || counts[index]! >= countMax) continue
      if (best < 0 || finish(index) < finish(best)) best = index
    }
    counts[best]!++
  }
  return counts
}
