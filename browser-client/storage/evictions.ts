/** Which jobs' blocks go when a tab needs room: those of other jobs, the one that was used longest ago first. Pure. */

/** What is kept of one job. */
export interface KeptJob {
  job: string
  /** What its manifest says it takes. */
  bytes: number
  /** Milliseconds since 1970. */
  usedMs: number
}

/**
 * The jobs whose blocks have to go so that `wanted` fits into `bytesMax` bytes, in the order in which they go.
 * `undefined` when it does not fit even alone.
 */
export function evictions(
  kept: readonly KeptJob[],
  wanted: { job: string; bytes: number },
  bytesMax: number,
): string[] | undefined {
  if (wanted.bytes > bytesMax) return undefined
  const others = kept.filter(({ job }) => job !== wanted.job).sort((a, b) => a.usedMs - b.usedMs)
  let bytes = others.reduce((sum, other) => sum + other.bytes, wanted.bytes)
  const gone: string[] = []
  for (const other of others) {
    if (bytes <= bytesMax) break
    bytes -= other.bytes
    gone.push(other.job)
  }
  return gone
}
