/** The screen's lock: one at a time, and none when it is no longer wanted, however the wishes overlap. */

import { expect, test } from 'vitest'
import { ScreenAwake } from '../../../browser-client/governor/wake-lock.ts'

/** A window whose locks are granted when `grant` is called; `held` counts those that nobody has given back. */
function fakeWindow() {
  const document = Object.assign(new EventTarget(), { hidden: false })
  const granting: (() => void)[] = []
  const held = new Set<object>()
  const request = () =>
    new Promise((resolve) => {
      granting.push(() => {
        const lock = {
          released: false,
          release: async () => {
            lock.released = true
            held.delete(lock)
          },
        }
        held.add(lock)
        resolve(lock)
      })
    })
  const settle = () => new Promise((resolve) => setTimeout(resolve, 0))
  return {
    window: { document, navigator: { wakeLock: { request } } } as unknown as Window,
    document,
    held,
    grant: async () => {
      for (const give of granting.splice(0)) give()
      await settle()
    },
    settle,
  }
}

test('wishes that come while a lock is on its way do not ask for a second one, which nobody would give back', async () => {
  const { window, held, grant, settle } = fakeWindow()
  const awake = new ScreenAwake(window)
  awake.want(true)
  awake.want(true)
  await settle()
  await grant()
  await grant()
  expect(held.size).toBe(1)
  awake.want(false)
  await settle()
  expect(held.size).toBe(0)
})

test('a wish that is taken back before the lock is there leaves none behind', async () => {
  const { window, held, grant, settle } = fakeWindow()
  const awake = new ScreenAwake(window)
  awake.want(true)
  await settle()
  awake.want(false)
  await grant()
  expect(held.size).toBe(0)
})

test('a lock that went with the tab out of sight is asked for again when it is back', async () => {
  const { window, document, held, grant, settle } = fakeWindow()
  const awake = new ScreenAwake(window)
  awake.want(true)
  await settle()
  await grant()
  document.hidden = true
  document.dispatchEvent(new Event('visibilitychange'))
  await settle()
  expect(held.size).toBe(0)
  document.hidden = false
  document.dispatchEvent(new Event('visibilitychange'))
  await settle()
  await grant()
  expect(held.size).toBe(1)
})
