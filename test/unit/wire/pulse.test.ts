/** The pulse of a link, tick by tick: when it speaks, when its peer is silent, and whose fault silence is not. */

import { expect, test } from 'vitest'
import { pulseMs, silentMs } from '../../../protocols/core/limits.ts'
import { type Activity, Pulse, tickMs } from '../../../protocols/wire/pulse.ts'

/** A pulse over a link that the test plays; `said` counts its empty frames. */
function pulseOf(activity: Partial<Activity> = {}) {
  const link: Activity = { heard: 0, said: 0, isSending: false, isHeldBack: false, ...activity }
  const events: string[] = []
  const pulse = new Pulse({
    activity: () => ({ ...link }),
    say: () => {
      link.said++
      events.push('pulse')
    },
    onSilent: () => events.push('silent'),
    onHeard: () => events.push('heard'),
  })
  const tick = (times: number): void => {
    for (let count = 0; count < times; count++) pulse.tick()
  }
  return { link, events, pulse, tick }
}

const ticksToPulse = pulseMs / tickMs
const ticksToSilence = silentMs / tickMs + 1

test('an end speaks at once, and then whenever it has said nothing for a pause', () => {
  const { link, events, tick } = pulseOf({ heard: 1 })
  expect(events).toEqual(['pulse'])
  tick(ticksToPulse - 1)
  expect(events).toEqual(['pulse'])
  tick(1)
  expect(events).toEqual(['pulse', 'pulse'])
  tick(ticksToPulse - 1)
  link.said++ // something was sent: it is as good as a pulse
  tick(ticksToPulse)
  expect(events).toEqual(['pulse', 'pulse'])
  tick(1)
  expect(events).toEqual(['pulse', 'pulse', 'pulse'])
})

test('while frames wait to be sent there is no pulse behind them', () => {
  const { link, events, tick } = pulseOf({ heard: 1, isSending: true })
  tick(3 * ticksToPulse)
  expect(events).toEqual(['pulse'])
  link.isSending = false
  link.heard++
  tick(ticksToPulse)
  expect(events).toEqual(['pulse', 'pulse'])
})

test('a peer that has not taken the link up is not silent, and no more than the first pulse is said to it', () => {
  const { link, events, tick } = pulseOf()
  tick(10 * ticksToSilence)
  expect(events).toEqual(['pulse'])
  link.heard++
  tick(1)
  expect(events).toEqual(['pulse', 'pulse'])
  tick(ticksToSilence)
  expect(events.at(-1)).toBe('silent')
})

test('a peer of which not a byte comes is silent, not a tick too early, and heard again with the next byte', () => {
  const { link, events, pulse, tick } = pulseOf({ heard: 1 })
  const changes = () => events.filter((event) => event !== 'pulse')
  tick(1) // hears what had come before
  tick(ticksToSilence - 2)
  link.heard++ // a piece of a frame is enough
  tick(1)
  tick(ticksToSilence - 2)
  expect(changes()).toEqual([])
  tick(1)
  expect(changes()).toEqual(['silent'])
  tick(3 * ticksToSilence)
  expect(changes()).toEqual(['silent'])
  pulse.hear()
  expect(changes()).toEqual(['silent', 'heard'])
})

test('an end that reads nothing because its own handler is behind calls nobody silent', () => {
  const { link, events, tick } = pulseOf({ heard: 1, isHeldBack: true })
  tick(3 * ticksToSilence)
  expect(events).not.toContain('silent')
  link.isHeldBack = false
  tick(ticksToSilence - 1)
  expect(events).not.toContain('silent')
  tick(1)
  expect(events).toContain('silent')
})

test('a home router may hold a pulse back for five seconds', () => {
  const { link, events, tick } = pulseOf({ heard: 1 })
  for (let times = 0; times < 5; times++) {
    link.heard++
    tick((pulseMs + 5_000) / tickMs + 1)
  }
  expect(events).not.toContain('silent')
})
