import { describe, expect, test } from 'vitest'
import { StateArchive } from '../../../protocols/run/archive.ts'
import {
  decodeState,
  type EncodedState,
  encodeState,
  readStateIndex,
  type State,
} from '../../../protocols/run/state.ts'

const blockElements = (1 << 20) / 4

const leases = { cursor: 640, firstStep: 70, steps: 10, holders: ['a', 'b'], rates: [3, 0.5] }

function exampleState(overrides: Partial<State> = {}): State {
  return {
    job: 'bafyjob',
    round: 7,
    leases,
    ahead: null,
    weight: 600,
    electorate: ['a', 'b'],
    parameters: Float32Array.from({ length: blockElements }, (_, i) => i / 3),
    outer: Float32Array.from([0.5, -0, 3e-39]),
    ...overrides,
  }
}

const expected = { job: 'bafyjob', parameters: blockElements, outer: 3 }

describe('a state as blocks', () => {
  test('survives the round trip to the bit, across a chunk boundary', async () => {
    const state = exampleState()
    const { root, blocks } = await encodeState(state)
    const index = readStateIndex(blocks.get(root.toString())!, expected)
    expect(index.chunks).toHaveLength(2)
    const decoded = decodeState(
      index,
      index.chunks.map((cid) => blocks.get(cid.toString())!),
    )
    expect(decoded).toEqual(state)
    expect(Object.is(decoded.outer[1], -0)).toBe(true)
  })

  test('has a root that changes with every field and stays the same for equal states', async () => {
    const rootOf = async (overrides: Partial<State>) =>
      (await encodeState(exampleState(overrides))).root.toString()
    const roots = await Promise.all([
      rootOf({}),
      rootOf({ round: 8 }),
      rootOf({ leases: { ...leases, cursor: 641 } }),
      rootOf({ leases: { ...leases, firstStep: 71 } }),
      rootOf({ leases: { ...leases, steps: 11 } }),
      rootOf({ leases: { ...leases, holders: ['a', 'c'] } }),
      rootOf({ leases: { ...leases, rates: [3, 0.25] } }),
      rootOf({ ahead: leases }),
      rootOf({ weight: 601 }),
      rootOf({ electorate: ['a'] }),
      rootOf({ job: 'bafyother' }),
      rootOf({ outer: Float32Array.from([0.5, 0, 3e-39]) }),
    ])
    expect(new Set(roots).size).toBe(roots.length)
    expect(await rootOf({})).toBe(roots[0])
  })

  test.each([
    ['another job', { ...expected, job: 'bafyother' }, 'it names job bafyjob'],
    ['another model', { ...expected, parameters: 5 }, 'parameters'],
    ['another optimizer', { ...expected, outer: 0 }, 'outer state'],
  ])('is refused when it belongs to %s', async (_, wrong, message) => {
    const { root, blocks } = await encodeState(exampleState())
    expect(() => readStateIndex(blocks.get(root.toString())!, wrong)).toThrow(message)
  })

  test.each([
    ['a peer without a rate', { rates: [3] }],
    ['a rate that is negative', { rates: [3, -1] }],
    ['no local steps', { steps: 0 }],
    ['more local steps than any job may have', { steps: 10_001 }],
    ['a cursor that is no count', { cursor: 0.5 }],
  ])('is refused when its leases have %s', async (_, change) => {
    for (const place of ['leases', 'ahead'] as const) {
      const state = exampleState({ [place]: { ...leases, ...change } })
      const { root, blocks } = await encodeState(state)
      expect(() => readStateIndex(blocks.get(root.toString())!, expected)).toThrow(
        expect.objectContaining({ code: 'STATE_MISMATCH' }),
      )
    }
  })

  test('is refused with a code when its index is garbage or a chunk is short', async () => {
    expect(() => readStateIndex(Uint8Array.from([0xff, 1, 2]), expected)).toThrow(
      expect.objectContaining({ code: 'STATE_MISMATCH' }),
    )
    const { root, blocks } = await encodeState(exampleState())
    const index = readStateIndex(blocks.get(root.toString())!, expected)
    const chunks = index.chunks.map((cid) => blocks.get(cid.toString())!)
    expect(() => decodeState(index, [chunks[0]!, chunks[1]!.subarray(4)])).toThrow(
      expect.objectContaining({ code: 'STATE_MISMATCH' }),
    )
  })
})

test('the archive keeps the newest states, the newest milestones, and those somebody began to fetch', async () => {
  const archive = new StateArchive(20)
  const states: EncodedState[] = []
  for (let round = 0; round <= 50; round++) {
    const state = await encodeState(exampleState({ round, parameters: new Float32Array(4).fill(round) }))
    states.push(state)
    archive.add(round, state)
    if (round === 7) await archive.get(state.root)
  }
  const newest = Array.from({ length: 16 }, (_, i) => 50 - i)
  expect(archive.rounds).toEqual([...newest, 20, 7])
  expect(await archive.get(states[7]!.root)).toBeDefined()
  expect(await archive.get(states[8]!.root)).toBeUndefined()
})

test('the archive keeps only two states when they are large', async () => {
  const archive = new StateArchive(100)
  for (let round = 1; round <= 4; round++) {
    const { root } = await encodeState(exampleState({ round }))
    archive.add(round, { root, blocks: new Map([[root.toString(), new Uint8Array(100 << 20)]]) })
  }
  expect(archive.rounds).toEqual([4, 3])
})
