/** Whether a choice of an earlier visit is believed. */

import { expect, test } from 'vitest'
import { type KeptChoice, validChoice } from '../../../browser-client/storage/kept-jobs.ts'

const day = 24 * 3_600_000
const conditions = { build: 'b1', threads: 2, mayUseGpu: true }
const choice: KeptChoice = { ...conditions, runtime: 'jspi', backend: 'webgpu', chosenMs: 10 * day }

test('what won a timing wins for a day under the same conditions, and is timed again otherwise', () => {
  expect(validChoice(choice, conditions, 11 * day - 1)).toBe(choice)
  expect(validChoice(choice, conditions, 11 * day)).toBeUndefined()
  expect(validChoice(choice, conditions, 9 * day), 'a clock that was set back').toBeUndefined()
  expect(validChoice(choice, { ...conditions, build: 'b2' }, 10 * day)).toBeUndefined()
  expect(validChoice(choice, { ...conditions, threads: 1 }, 10 * day)).toBeUndefined()
  expect(validChoice(choice, { ...conditions, mayUseGpu: false }, 10 * day)).toBeUndefined()
  expect(validChoice(undefined, conditions, 10 * day)).toBeUndefined()
})
