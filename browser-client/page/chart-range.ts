/** Which values a chart shows. */

/** Room above and below, as a share of the range, so that no line lies on the edge. */
const marginShare = 0.08

/**
 * The ends of the y axis for values from `low` to `high`; `null` when there are none. Zero is no edge to look beyond.
 */
export function chartRange(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1]
  const margin = (high - low || Math.abs(high) || 1) * marginShare
  return [low < 0 ? low - margin : Math.max(0, low - margin), high + margin]
}
