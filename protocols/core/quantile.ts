/** One value that stands for several measurements: the same on every peer that has the same ones. */

/** The value below which `share` (0 to 1) of `values` (not empty) lie; the nearest one, nothing is interpolated. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.round(share * (sorted.length - 1))]!
}
