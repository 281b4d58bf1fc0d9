/** What a coordinator's store holds of a run's states, across a restart. */

import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { KeptStates } from '../../../node/storage/kept-state.ts'
import { blockBytesMax } from '../../../protocols/core/limits.ts'
import { encodeState, type State } from '../../../protocols/run/state.ts'
import { memoryStore } from '../../../protocols/shards/index.ts'
import { root as job } from '../jobs/example.ts'

/** Two chunks: the first is the same in every state. */
const parameters = blockBytesMax / 4
const state = (round: number, of = job): State => ({
  job: of,
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
async function held(store: ReturnType<typeof memoryStore>, round: number, of = job): Promise<boolean[]> {
  const { blocks } = await encodeState(state(round, of))
  return Promise.all([...blocks.keys()].map(async (cid) => store.has(CID.parse(cid))))
}

test('a state that is kept takes the place of the one before, also of one kept before a restart', async () => {
  const store = memoryStore()
  const roots = await Promise.all(
    [1, 2, 3].map(async (round) => (await encodeState(state(round))).root.toString()),
  )
  const alone = () => [{ job, roots }]
  const keep = await new KeptStates(store, alone).keeper(expected, [])
  await keep(roots[0]!, state(1))
  await keep(roots[1]!, state(2))
  expect(await held(store, 1)).toEqual([true, false, false])
  expect(await held(store, 2)).toEqual([true, true, true])

  const keepAgain = await new KeptStates(store, alone).keeper(expected, roots.slice(0, 2))
  await keepAgain(roots[2]!, state(3))
  expect(await held(store, 2)).toEqual([true, false, false])
  expect(await held(store, 3)).toEqual([true, true, true])
})

test('a block that is no state of the run stays, whoever says that it was evaluated', async () => {
  const store = memoryStore()
  await store.put(CID.parse(job), Uint8Array.of(1))
  const keep = await new KeptStates(store, () => []).keeper(expected, [job])
  await keep('', state(1))
  expect(await store.has(CID.parse(job))).toBe(true)
})

test.each(['in one life', 'after a restart'])(
  'what another run of the model has kept stays, %s',
  async (when) => {
    const store = memoryStore()
    const other = 'another job'
    const { root } = await encodeState(state(0, other))
    const jobs = () => [
      { job, roots: [] },
      { job: other, roots: [root.toString()] },
    ]
    const before = new KeptStates(store, jobs)
    await (await before.keeper({ ...expected, job: other }, []))('', state(0, other))
    const now = when === 'in one life' ? before : new KeptStates(store, jobs)
    const keep = await now.keeper(expected, [])
    await keep('', state(0))
    await keep('', { ...state(1), parameters: new Float32Array(parameters).fill(1) })
    expect(await held(store, 0, other)).toEqual([true, true, true])
    expect(await held(store, 0)).toEqual([true, true, false])
  },
)
