/** What a donor who finishes waits for: the round that the tab works for, and nothing else. */

import { expect, test } from 'vitest'
import { CurrentRound } from '../../../browser-client/peer/current-round.ts'

/** Whether `promise` has been resolved by now. */
async function isOver(promise: Promise<void>): Promise<boolean> {
  return Promise.race([promise.then(() => true), Promise.resolve().then(() => false)])
}

test('a tab that waits for peers, or fetches the newest state, can leave at once', async () => {
  const round = new CurrentRound()
  expect(await isOver(round.ended)).toBe(true)
  for (const phase of ['waiting', 'syncing', 'finished'] as const) {
    round.enter(phase)
    expect(await isOver(round.ended)).toBe(true)
  }
})

test('a tab that trains waits for the end of its round, and of no later one', async () => {
  const round = new CurrentRound()
  round.enter('training')
  const { ended } = round
  round.enter('averaging')
  expect(await isOver(ended)).toBe(false)
  round.commit()
  expect(await isOver(ended)).toBe(true)
  // who asks between two rounds still gives to the next
  const { ended: next } = round
  round.enter('training')
  expect(await isOver(next)).toBe(false)
  round.enter('finished')
  expect(await isOver(next)).toBe(true)
})

test.each(['a pause', 'the others having gone on'])('%s ends the round for the tab', async (what) => {
  const round = new CurrentRound()
  round.enter('averaging')
  const { ended } = round
  if (what === 'a pause') round.leave()
  else round.enter('syncing')
  expect(await isOver(ended)).toBe(true)
})
