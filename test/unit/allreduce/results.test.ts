/** Results of one part by many seals: what is kept when no seal names them any more. */

import { expect, test } from 'vitest'
import { Results } from '../../../protocols/allreduce/round/results.ts'
import type { Result } from '../../../protocols/allreduce/round/vocabulary.ts'

const result: Result = {
  kind: 'Result',
  round: 1,
  planId: 'plan',
  part: 0,
  weight: 1,
  bitmap: Uint8Array.of(1),
  bytes: Uint8Array.of(1),
}

/** Which of `digests` are held. */
function heldOf(results: Results, digests: readonly string[]): string[] {
  return digests.filter((digest) => results.get('plan', 0, digest) !== undefined)
}

test('of the results that a leader seals one after another, its share is kept beside the last that it named', () => {
  const results = new Results()
  results.add(result, 'made here', { sender: undefined, isNamed: false })
  results.add(result, 'another', { sender: 'b', isNamed: false })
  const digests = Array.from({ length: 20 }, (_, seal) => `sealed ${seal}`)
  for (const digest of digests) {
    results.rename((planId, part, named) => planId === 'plan' && part === 0 && named === digest)
    expect(results.add(result, digest, { sender: 'leader', isNamed: true })).toBe(true)
  }
  expect(heldOf(results, ['made here', 'another', ...digests])).toEqual([
    'made here',
    'another',
    'sealed 0',
    'sealed 1',
    'sealed 19',
  ])
})

test('a result that came as one of too many is kept while a seal names it', () => {
  const results = new Results()
  const add = (digest: string, isNamed: boolean) => results.add(result, digest, { sender: 'a', isNamed })
  expect([add('1', false), add('2', false), add('3', false), add('3', true)]).toEqual([
    true,
    true,
    false,
    true,
  ])
  results.rename((_, __, digest) => digest === '1')
  expect(heldOf(results, ['1', '2', '3'])).toEqual(['1', '2', '3'])
  results.rename((_, __, digest) => digest === '3')
  expect(heldOf(results, ['1', '2', '3'])).toEqual(['1', '2', '3'])
  results.rename(() => false)
  expect(heldOf(results, ['1', '2', '3'])).toEqual(['1', '2'])
})
