/**
 * The duty cycle holds over any minute of uneven work with timers that fire late, and nothing is saved up for a burst.
 */

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { afterWork, newPace, type Pace, restMs, withShare } from '../../../browser-client/governor/pacer.ts'

interface Piece {
  workMs: number
  /** How much later than asked the timer after it fires. */
  lateMs: number
}

/** Work of a worker that always has more to do, as `[startMs, endMs]`, for `untilMs`. */
function worked(pieces: readonly Piece[], dutyCycle: number, untilMs: number): [number, number][] {
  const spans: [number, number][] = []
  let [now, pace]: [number, Pace] = [0, newPace(0)]
  for (let index = 0; now < untilMs; index++) {
    const { workMs, lateMs } = pieces[index % pieces.length]!
    for (let rest = restMs(pace, now); rest > 0; rest = restMs(pace, now)) now += rest + lateMs
    spans.push([now, now + workMs])
    pace = afterWork(pace, now, now + workMs, dutyCycle)
    now += workMs
  }
  return spans
}

function busyMs(spans: readonly [number, number][], fromMs: number, toMs: number): number {
  return spans.reduce(
    (sum, [start, end]) => sum + Math.max(0, Math.min(end, toMs) - Math.max(start, fromMs)),
    0,
  )
}

test('work is within 5 % of the asked share over any minute, however uneven the pieces and late the timers', () => {
  const pieces = fc.array(
    fc.record({
      workMs: fc.double({ min: 0.2, max: 500, noNaN: true }),
      lateMs: fc.double({ min: 0, max: 30, noNaN: true }),
    }),
    { minLength: 1, maxLength: 50, size: 'max' },
  )
  const share = fc.double({ min: 0.25, max: 1, noNaN: true })
  fc.assert(
    fc.property(
      pieces,
      share,
      fc.array(fc.nat(60_000), { minLength: 5, maxLength: 5 }),
      (list, dutyCycle, starts) => {
        const spans = worked(list, dutyCycle, 120_000)
        for (const from of starts) {
          const measured = busyMs(spans, from, from + 60_000) / 60_000
          expect(Math.abs(measured / dutyCycle - 1)).toBeLessThan(0.05)
        }
      },
    ),
    { numRuns: 300, seed: 3 },
  )
})

test('a quarter of the time means three times the work as rest', () => {
  const pace = afterWork(newPace(0), 0, 200, 0.25)
  expect(restMs(pace, 200)).toBe(600)
  expect(restMs(pace, 500)).toBe(300)
  expect(restMs(pace, 800)).toBe(0)
})

test('rests too short to sleep for are carried over until they are worth it', () => {
  let pace = newPace(0)
  for (let at = 0; at < 3; at++) {
    pace = afterWork(pace, at, at + 1, 0.5)
    expect(restMs(pace, at + 1)).toBe(0)
  }
  expect(restMs(afterWork(pace, 3, 4, 0.5), 4)).toBe(4)
})

test('a long rest is asked for in seconds, so that Resume and the slider do not wait for it', () => {
  const pace = afterWork(newPace(0), 0, 2000, 0.1)
  expect(restMs(pace, 2000)).toBe(1000)
  expect(restMs(withShare(pace, 0.1, 1), 2000)).toBe(0)
  expect(restMs(withShare(pace, 0.1, 0.8), 2000)).toBeCloseTo(500)
})

test('an hour without work earns one second, not an hour without rests', () => {
  const hourMs = 3_600_000
  const pace = afterWork(newPace(0), hourMs, hourMs + 3000, 0.5)
  expect(restMs(pace, hourMs + 3000)).toBe(1000)
  expect(restMs(pace, hourMs + 4999)).toBe(0)
  expect(restMs(pace, hourMs + 4900)).toBe(100)
})

test('a full share owes no rest', () => {
  expect(restMs(afterWork(newPace(0), 0, 5000, 1), 5000)).toBe(0)
})
