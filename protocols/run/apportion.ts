/** Whole shares of a total, in proportion to speeds: one rule for leases and for the work of peers that died. */

export interface ApportionOptions {
  /** Least and most that one gets, >= 0; when all have the most, something of the total is left over. */
  min: number
  max: number
}

/**
 * Splits `total` over peers with the given `speeds` (any unit, > 0). Whoever the proportion would give too much or too
 * little has its bound, and the rest is split over the others by their speeds. Shares are whole; what rounding down
 * leaves goes one by one to the largest remainders, of equals to the first. Only additions, multiplications and
 * divisions of f64 in a fixed order: every platform gets the same.
 */
export function apportion(
  total: number,
  speeds: readonly number[],
  { min, max }: ApportionOptions,
): number[] {
  const ideal = withinBounds(total, speeds, { min, max })
  const shares = ideal.map(Math.floor)
  let left = total - shares.reduce((all, share) => all + share, 0)
  const remainder = (peer: number): number => ideal[peer]! - shares[peer]!
  const byRemainder = [...shares.keys()]
    .filter((peer) => shares[peer]! < max)
    .sort((a, b) => remainder(b) - remainder(a) || a - b)
  for (const peer of byRemainder) {
    if (left < 1) break
    shares[peer]! += 1
    left--
  }
  return shares
}

/** The shares before they are whole: each turn gives at least one more peer its bound, so there are as many at most. */
function withinBounds(total: number, speeds: readonly number[], { min, max }: ApportionOptions): number[] {
  const shares = speeds.map(() => 0)
  let free = [...speeds.keys()]
  let rest = total
  while (free.length > 0) {
    const sum = free.reduce((all, peer) => all + speeds[peer]!, 0)
    let excess = 0
    for (const peer of free) {
      const share = (rest * speeds[peer]!) / sum
      shares[peer] = Math.min(max, Math.max(min, share))
      excess += share - shares[peer]!
    }
    // where bounds take away more than they give, those at the most are settled: the others can only get more
    const settled = excess >= 0 ? max : min
    const bound = free.filter((peer) => shares[peer] === settled)
    if (excess === 0 || bound.length === 0) break
    rest -= bound.length * settled
    free = free.filter((peer) => shares[peer] !== settled)
  }
  return shares
}
