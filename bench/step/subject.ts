/** What subjects of the step benchmark have in common: how a turn is played, and when and how memory is read. */
import { readFileSync } from 'node:fs'
import type { Turn } from './calls.ts'

/** Steps before memory is read: the second finds its arenas grown, the third shows that they stay so. */
export const settlingSteps = 3

/** The least time of a turn's runs of `once`, in ms. */
export async function playTurn({ repeatsMax, ms }: Turn, once: () => Promise<unknown>): Promise<number> {
  const beganAt = performance.now()
  let best = Number.POSITIVE_INFINITY
  for (let run = 0; run < repeatsMax && (run === 0 || performance.now() - beganAt < ms); run++) {
    const startedAt = performance.now()
    await once()
    best = Math.min(best, performance.now() - startedAt)
  }
  return best
}

/**
 * Largest resident memory of this process so far, in MB. On Linux `maxRSS` starts with what the parent had when it
 * forked; VmHWM (proc(5)) is this program's own.
 */
export function peakMemoryMb(): number {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS / 1024
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))!
  return Number(kilobytes) / 1024
}
