/**
 * A cosine that has the same bits everywhere, for what peers must agree on: `Math.cos` may differ in its last bit between
 * browsers.
 */

/**
 * cos(π·t) for t in [0, 1], absolute error below 1e-15 (a few roundings of 1.1e-16 each). Taylor's series on [0, π/2],
 * and cos(π - x) = -cos x beyond; the last term, (π/2)^24 / 24!, is 8e-20.
 */
export function cosineOfHalfTurns(t: number): number {
  if (t > 0.5) return -cosineOfHalfTurns(1 - t)
  const angle = Math.PI * t
  const square = angle * angle
  let sum = 1
  for (let k = 24; k >= 2; k -= 2) sum = 1 - (sum * square) / (k * (k - 1))
  return sum
}

/** cos(2π·`turn`/`turns`) for whole numbers, 0 <= `turn` < `turns`; exact where it is -1, 0 or 1. */
export function cosineOfTurns(turn: number, turns: number): number {
  if (4 * turn === turns || 4 * turn === 3 * turns) return 0
  const halves = (2 * turn) / turns
  return cosineOfHalfTurns(halves > 1 ? 2 - halves : halves)
}

/** sin(2π·`turn`/`turns`), of such numbers too. */
export function sineOfTurns(turn: number, turns: number): number {
  return cosineOfTurns((4 * turn + 3 * turns) % (4 * turns), 4 * turns)
}
