/** Whole shares of a total, in proportion to speeds: one rule for leases and for the work of peers that died. */

export interface ApportionOptions {
  /** Least and most that one gets, >= 0; when all have the most, something of the total is left over. */
  min: number
  max: number
}

/**
 * Splits `total` over peers with the given `speeds` (any unit, > 0). Shares are whole, and as near to the proportion as
 * their bounds allow; of equals the first gets what is left over (the largest-remainder method). Only additions,
 * multiplications and divisions of f64 in a fixed order: every platform gets the same.
 */
export function apportion(
  total: number,
  speeds: readonly number[],
  { min, max }: ApportionOptions,
): number[] {
  const sum = speeds.reduce((all, speed) => all + speed, 0)
  const ideal = speeds.map((speed) => (total * speed) / sum)
  const shares = ideal.map((share) => Math.min(max, Math.max(min, Math.floor(share))))
  let left = total - shares.reduce((all, share) => all + share, 0)
  while (left !== 0) {
    const step = Math.sign(left)
    let best = -1
    for (let peer = 0; peer < shares.length; peer++) {
      const next = shares[peer]! + step
      if (next < min || next > max) continue
      if (best < 0 || step * (ideal[peer]! - shares[peer]!) > step * (ideal[best]! - shares[best]!))
        best = peer
    }
    if (best < 0) break
    shares[best]! += step
    left -= step
  }
  return shares
}
