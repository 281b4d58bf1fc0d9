/**
 * Which state a peer that is behind asks for, when it has caught up, and what a peer that lies about its own costs it,
 * on the simulator's clock.
 */

import { expect, test } from 'vitest'
import { catchUp } from '../../../protocols/run/catch-up.ts'
import type { Committed } from '../../../protocols/run/followed-averages.ts'
import type { Averaging, Standing } from '../../../protocols/run/ports.ts'
import { type EncodedState, encodeState, type State } from '../../../protocols/run/state.ts'
import { targetsAmong } from '../../../protocols/run/targets.ts'
import { VirtualClock } from '../../../simulator/clock.ts'

const job = 'bafyjob'
const parameters = 3

/** A root that nobody serves. */
const unheldRoot = 'bafyreib4pff766vhpbxbhjbqqnsh5emeznvujayjj4z2iu533cprgbz23m'

function stateOf(round: number): State {
  return {
    job,
    round,
    weight: round,
    electorate: round === 0 ? [] : ['a', 'b'],
    leases: { cursor: 0, firstStep: 0, steps: 8, holders: [], rates: [] },
    ahead: null,
    parameters: new Float32Array(parameters).fill(round),
    outer: new Float32Array(0),
  }
}

interface Caught {
  round: number
  /** What it took, on the virtual clock. */
  ms: number
  /** Roots that were asked for. */
  asked: string[]
}

/** What happens to one that catches up, besides what gossip claims. */
interface Course {
  /** Where linked peers say they stand. */
  linked?: Record<string, Standing>
  /** Blocks are asked for. */
  onFetch?(follow: (outcome: Committed) => void): void
  /** What one waits for in vain so far comes. */
  onWait?(follow: (outcome: Committed) => void): void
}

/**
 * Catches up among `claims`, round and root by peer; of `held` every block is served, others keep one waiting for ever.
 */
async function caughtUp(
  claims: Record<string, Standing>,
  held: readonly EncodedState[],
  { linked = {}, onFetch, onWait }: Course = {},
): Promise<Caught> {
  const clock = new VirtualClock()
  const asked: string[] = []
  const blocks = new Map(held.flatMap((state) => [...state.blocks]))
  let follow: (outcome: Committed) => void = () => {}
  const averaging: Pick<Averaging, 'follow' | 'standings'> = {
    follow: (onCommitted) => {
      follow = onCommitted
      return () => {}
    },
    get standings() {
      return new Map(Object.entries(linked))
    },
  }
  const state = await catchUp({
    averaging: averaging as Averaging,
    gossip: {
      standings: () => new Map(Object.entries(claims)),
      changed: async () => onWait?.(follow),
      report: () => {},
    },
    blocks: {
      fetchBlocks: async (cids, { signal }) => {
        asked.push(...cids.filter((cid) => cid === unheldRoot || held.some(({ root }) => `${root}` === cid)))
        onFetch?.(follow)
        const found = cids.map((cid) => blocks.get(cid))
        if (found.every((block) => block !== undefined)) return found
        // time passes only while somebody is waited for
        queueMicrotask(() => clock.runNext(clock.now() + 60_000))
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      },
    },
    clock,
    expected: { job, parameters, outer: 0 },
    advance: ({ round }) => stateOf(round + 1),
    settle: async (settled) => (await encodeState(settled)).root.toString(),
    signal: new AbortController().signal,
  })
  return { round: state.round, ms: clock.now(), asked }
}

/** What round `round` came to, for who held state `root`. */
function outcomeOf(round: number, root: string): Committed {
  return {
    kind: 'committed',
    round,
    root,
    average: new Float32Array(parameters),
    electorate: ['a', 'b'],
    totalWeight: 1,
    contributors: [],
    omitted: [],
  }
}

function claim(state: EncodedState, round: number): Standing {
  return { round, root: state.root.toString(), weight: round }
}

const lie: Standing = { round: 99, root: unheldRoot, weight: 1e9 }

test('a peer that claims a state which it does not serve costs nothing where several hold another one', async () => {
  const [older, newer] = await Promise.all([encodeState(stateOf(6)), encodeState(stateOf(7))])
  const claims = { a: claim(newer, 7), b: claim(newer, 7), c: claim(older, 6), d: claim(older, 6), liar: lie }
  const caught = await caughtUp(claims, [older, newer])
  expect(caught).toEqual({ round: 7, ms: 0, asked: [newer.root.toString()] })
})

test('of one honest peer and one that lies the one that is not ahead of all is asked', async () => {
  const newer = await encodeState(stateOf(7))
  const caught = await caughtUp({ a: claim(newer, 7), liar: lie }, [newer])
  expect(caught).toEqual({ round: 7, ms: 0, asked: [newer.root.toString()] })
})

test('where no two name one state, since rounds are short, the latest but one is fetched, not what two named before', async () => {
  const states = await Promise.all([3, 50, 52, 54].map((round) => encodeState(stateOf(round))))
  const [forgotten, ...held] = states as [EncodedState, ...EncodedState[]]
  const [a, b, c] = held.map((state, index) => claim(state, 50 + 2 * index))
  const claims = { a: a!, b: b!, c: c!, d: claim(forgotten, 3), e: claim(forgotten, 3) }
  expect(await caughtUp(claims, held)).toMatchObject({ round: 52, ms: 0 })
})

test('newcomers, who all hold what the run starts from, do not outvote the one that is ahead', async () => {
  const [first, newer] = await Promise.all([encodeState(stateOf(0)), encodeState(stateOf(7))])
  const claims = { a: claim(first, 0), b: claim(first, 0), c: claim(newer, 7) }
  expect(await caughtUp(claims, [first, newer])).toMatchObject({ round: 7, ms: 0 })
})

test('in a run that has not begun a lie costs five seconds, and what it starts from is taken', async () => {
  const first = await encodeState(stateOf(0))
  const caught = await caughtUp({ a: claim(first, 0), b: claim(first, 0), liar: lie }, [first])
  expect(caught).toMatchObject({ round: 0, ms: 5_000 })
})

test('what several held before this peer was cut off, and have forgotten, costs five seconds', async () => {
  const [older, newer] = await Promise.all([encodeState(stateOf(6)), encodeState(stateOf(50))])
  const claims = { a: claim(newer, 50), b: claim(older, 6), c: claim(older, 6) }
  expect(await caughtUp(claims, [newer])).toMatchObject({ round: 50, ms: 5_000 })
})

test('where there is nothing else to try, a state has half a minute to come', async () => {
  const newer = await encodeState(stateOf(7))
  const claims: Record<string, Standing> = { liar: lie }
  const caught = caughtUp(claims, [newer])
  claims.a = claim(newer, 7)
  delete claims.liar
  expect((await caught).ms).toBe(30_000)
})

test('an average that is overtaken by the next one is waited for, and no second state is fetched', async () => {
  const [five, six] = await Promise.all([5, 6].map((round) => encodeState(stateOf(round))))
  const held = [five!, six!]
  const [first, second] = held.map(({ root }, index) => outcomeOf(5 + index, root.toString()))
  const caught = await caughtUp({ a: claim(five!, 5) }, held, {
    onFetch: (follow) => follow(second!),
    onWait: (follow) => follow(first!),
  })
  expect(caught).toEqual({ round: 7, ms: 0, asked: [five!.root.toString()] })
})

test('an average that does not come is not waited for twice: a later state is fetched', async () => {
  const [five, seven] = await Promise.all([5, 7].map((round) => encodeState(stateOf(round))))
  const claims = { a: claim(five!, 5) }
  const caught = await caughtUp(claims, [five!, seven!], {
    onFetch: (follow) => follow(outcomeOf(6, 'six')),
    onWait: () => {
      claims.a = claim(seven!, 7)
    },
  })
  expect(caught).toEqual({ round: 7, ms: 0, asked: [five, seven].map((state) => state!.root.toString()) })
})

test('where linked peers stand counts when gossip says that they were elsewhere before', async () => {
  const [older, newer] = await Promise.all([encodeState(stateOf(6)), encodeState(stateOf(9))])
  const claims = { a: claim(older, 6), b: claim(older, 6) }
  const linked = { a: claim(newer, 9), b: claim(newer, 9) }
  const caught = await caughtUp(claims, [older, newer], { linked })
  expect(caught).toEqual({ round: 9, ms: 0, asked: [newer.root.toString()] })
})

test('a state is not settled for when the others were three rounds further by the time it came', async () => {
  const [older, newer] = await Promise.all([encodeState(stateOf(6)), encodeState(stateOf(9))])
  const claims = { a: claim(older, 6), b: claim(older, 6) }
  const linked: Record<string, Standing> = {}
  const caught = await caughtUp(claims, [older, newer], {
    linked,
    onFetch: () => Object.assign(linked, { a: claim(newer, 9), b: claim(newer, 9) }),
  })
  expect(caught).toEqual({ round: 9, ms: 0, asked: [older, newer].map(({ root }) => root.toString()) })
})

test('averages of another branch lead nowhere: the state is given up for one that they do not belong to', async () => {
  const [mine, theirs] = await Promise.all([encodeState(stateOf(6)), encodeState(stateOf(8))])
  const claims = { a: claim(mine, 6) }
  const caught = await caughtUp(claims, [mine, theirs], {
    onFetch: (follow) => follow(outcomeOf(6, 'another six')),
    onWait: () => {
      claims.a = claim(theirs, 8)
    },
  })
  expect(caught.round).toBe(8)
})

test('two that claim a far round together, and another root each time, cost five seconds once', async () => {
  const [newer, ...unheld] = await Promise.all(
    [7, 60, 61, 62, 63].map((round) => encodeState(stateOf(round))),
  )
  const names = unheld.map(({ root }) => root.toString())
  const claims: Record<string, Standing> = { a: claim(newer!, 7), b: claim(newer!, 7) }
  const lieAnew = (): void => {
    const root = names.shift() ?? unheldRoot
    for (const liar of ['liar', 'other']) claims[liar] = { round: 99, root, weight: 1e9 }
  }
  lieAnew()
  expect(await caughtUp(claims, [newer!], { onFetch: lieAnew })).toMatchObject({ round: 7, ms: 5_000 })
})

test('what failed hides nothing, however often those that claim something else were wrong', () => {
  const claims = new Map([
    ['honest', { round: 7, root: 'seven' }],
    ['liar', { round: 9, root: 'nine' }],
  ])
  const failures = { roots: new Set(['nine']), byPeer: new Map([['honest', 10]]) }
  expect(targetsAmong(claims, failures, -1)).toEqual([{ round: 7, root: 'seven', peers: ['honest'] }])
})
