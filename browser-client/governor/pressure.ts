/**
 * How much of the donor's share is used while the machine is hot or busy: a ladder that is quick down and slow up.
 *
 *     serious ──▶ one rung down at once, and again each 10 s that it lasts
 *     critical ─▶ two rungs down
 *     nominal or fair for a minute ──▶ one rung up
 *
 * The states are the W3C Compute Pressure API's. Our own work is part of what it measures, so the ladder must not
 * answer calm with full speed at once: it would swing between the two for as long as the tab is open. For the same
 * reason a state that comes and goes within ten seconds moves nothing.
 */

export type PressureLevel = 'nominal' | 'fair' | 'serious' | 'critical'

/** Immutable. */
export interface Pressure {
  level: PressureLevel
  /** Index into {@link rungs}. */
  rung: number
  /** When the rung last changed, or the machine last became calm; milliseconds of the caller's clock. */
  sinceMs: number
}

/**
 * Factors on the donor's duty cycle. The last is no pause: a tenth of a half share warms nothing, and the tab stays in
 * the run, also on a machine that is busy with the run's other peers.
 */
export const rungs = [1, 0.75, 0.5, 0.25, 0.1] as const

/** The API reports at most once a second and averages; ten seconds show what the last rung has brought. */
const downEveryMs = 10_000

/** A laptop's fan needs about this long to bring the temperature down after load has gone. */
const upEveryMs = 60_000

/** Before anything was measured. */
export const calm: Pressure = { level: 'nominal', rung: 0, sinceMs: Number.NEGATIVE_INFINITY }

/** The factor on the duty cycle: 0.1 to 1. */
export function pressureFactor({ rung }: Pressure): number {
  return rungs[rung]!
}

/** What `pressure` has become at `nowMs`, with `level` measured last. */
export function afterPressure(pressure: Pressure, level: PressureLevel, nowMs: number): Pressure {
  const heldMs = nowMs - pressure.sinceMs
  if (isStrained(level)) {
    if (heldMs < downEveryMs) return { ...pressure, level }
    const steps = level === 'critical' ? 2 : 1
    return { level, rung: Math.min(rungs.length - 1, pressure.rung + steps), sinceMs: nowMs }
  }
  if (isStrained(pressure.level)) return { ...pressure, level, sinceMs: nowMs }
  if (pressure.rung === 0 || heldMs < upEveryMs) return { ...pressure, level }
  return { level, rung: pressure.rung - 1, sinceMs: nowMs }
}

function isStrained(level: PressureLevel): boolean {
  return level === 'serious' || level === 'critical'
}
