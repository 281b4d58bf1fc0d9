/** The backend that rests: the share of time it gives to kernels, and that none runs while none may. */

import { expect, test } from 'vitest'
import { Pacer } from '../../../browser-client/worker/paced-backend.ts'

/** A worker on a clock of its own, whose rests come late by `lateMs`. */
function worker(allowance: { mayRun: boolean; dutyCycle: number }, lateMs = 0) {
  let nowMs = 0
  const pacer = new Pacer(allowance, {
    now: () => nowMs,
    rest: async (delayMs) => {
      nowMs += delayMs + lateMs
    },
  })
  let workedMs = 0
  const run = (ms: number) =>
    pacer.run(async () => {
      nowMs += ms
      workedMs += ms
    })
  const between = (ms: number) => {
    nowMs += ms
    workedMs += ms
  }
  const idle = (ms: number) => {
    nowMs += ms
  }
  return {
    pacer,
    run,
    between,
    idle,
    share: () => workedMs / nowMs,
    workedMs: () => workedMs,
    nowMs: () => nowMs,
  }
}

test.each([
  [0.25, 0],
  [0.5, 7],
  [0.75, 30],
])(
  'a share of %f holds within 2 %% over uneven steps, with timers that come %d ms late',
  async (dutyCycle, lateMs) => {
    const { run, share } = worker({ mayRun: true, dutyCycle }, lateMs)
    for (let step = 0; step < 400; step++) await run(5 + ((step * 37) % 90))
    await run(0) // the rest after the last step
    expect(Math.abs(share() - dutyCycle)).toBeLessThan(0.02 * dutyCycle)
  },
)

test('what a task does between its runs is work, and what is waited for between tasks is rest', async () => {
  const { pacer, run, between, idle, share, nowMs } = worker({ mayRun: true, dutyCycle: 0.5 })
  for (let task = 0; task < 20; task++) {
    pacer.begin()
    for (let step = 0; step < 8; step++) {
      between(10)
      await run(15)
    }
    between(10)
    pacer.end()
  }
  await run(0)
  expect(Math.abs(share() - 0.5)).toBeLessThan(0.01)
  // 200 ms of work are owed as much rest, and had it while nothing was asked
  pacer.begin()
  await run(200)
  pacer.end()
  idle(200)
  const beforeMs = nowMs()
  await run(0)
  expect(nowMs() - beforeMs).toBeLessThan(5)
})

test('a full share never rests', async () => {
  const { run, share } = worker({ mayRun: true, dutyCycle: 1 })
  for (let step = 0; step < 10; step++) await run(20)
  expect(share()).toBe(1)
})

test('while nothing may run nothing runs, and what waited runs afterwards', async () => {
  const { pacer, run, workedMs } = worker({ mayRun: true, dutyCycle: 1 })
  await run(10)
  pacer.allow({ mayRun: false, dutyCycle: 1 })
  const waiting = run(10)
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
  expect(workedMs()).toBe(10)
  pacer.allow({ mayRun: true, dutyCycle: 1 })
  await waiting
  expect(workedMs()).toBe(20)
})

test('a worker that may not run from the start waits for its first run', async () => {
  const { pacer, run, workedMs } = worker({ mayRun: false, dutyCycle: 1 })
  const waiting = run(10)
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
  expect(workedMs()).toBe(0)
  pacer.allow({ mayRun: true, dutyCycle: 0.5 })
  await waiting
  expect(workedMs()).toBe(10)
})
