/** What a coordinator's store holds of a run's states, across a restart. */

import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { keepOne } from '../../../node/kept-state.ts'
import { blockBytesMax } from '../../../protocols/core/limits.ts'
import { encodeState, type State } from '../../../protocols/run/state.ts'
import { memoryStore } from '../../../protocols/shards/index.ts'
import { root as job } from '../jobs/example.ts'

/** Two chunks: the first is the same in every state. */
const parameters = blockBytesMax / 4
const state = (round: number): State => ({
  job,
  round,
  leases: { cursor: 0, firstStep: 0, steps: 1, holders: [], rates: [] },
  ahead: null,
  weight: round,
  electorate: [],
  parameters: new Float32Array(parameters),
  outer: Float32Array.of(round),
})
const expected = { job, parameters, outer: 1 }

/** Which of the blocks of `state` are in `store`. */
async function held(store: ReturnType<typeof memoryStore>, round: number): Promise<boolean[]> {
  const { blocks } = await encodeState(state(round))
  return Promise.all([...blocks.keys()].map(async (cid) => store.has(CID.parse(cid))))
}

test('a state that is kept takes the place of the one before, also of one kept before a restart', async () => {
  const store = memoryStore()
  const roots = await Promise.all(
    [1, 2, 3].map(async (round) => (await encodeState(state(round))).root.toString()),
  )
  const keep = await keepOne(store, expected, [])
  await keep(roots[0]!, state(1))
  await keep(roots[1]!, state(2))
  expect(await held(store, 1)).toEqual([true, false, false])
  expect(await held(store, 2)).toEqual([true, true, true])

  const keepAgain = await keepOne(store, expected, roots.slice(0, 2))
  await keepAgain(roots[2]!, state(3))
  expect(await held(store, 2)).toEqual([true, false, false])
  expect(await held(store, 3)).toEqual([true, true, true])
})

test('a block that is no state of the run stays, whoever says that it was evaluated', async () => {
  const store = memoryStore()
  await store.put(CID.parse(job), Uint8Array.of(1))
  const keep = await keepOne(store, expected, [job])
  await keep('', state(1))
  expect(await store.has(CID.parse(job))).toBe(true)
})
