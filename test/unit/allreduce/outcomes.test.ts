/** Whom a committed round is told to, and in whose memory. */

import { expect, test } from 'vitest'
import type { RoundCommitted } from '../../../protocols/allreduce/options.ts'
import { Outcomes } from '../../../protocols/allreduce/outcomes.ts'
import type { CommittedRound } from '../../../protocols/allreduce/round/events.ts'
import { Vectors } from '../../../protocols/allreduce/vectors.ts'
import { codecFor } from '../../../protocols/wire/codecs/index.ts'
import { partition } from './table.ts'

const f32 = codecFor('f32')
const signal = new AbortController().signal

/** A round of three parts, whose mean is 0, 1, 2, 3, 4, 5. */
function committed(round: number): CommittedRound {
  const part = (first: number) => ({
    bytes: f32.encode(Float32Array.of(first, first + 1)),
    bitmap: Uint8Array.of(1),
    weight: 4,
  })
  const contributor = { peer: 'a', seat: 0, weight: 4, commit: 'c', bandwidth: undefined, place: undefined }
  const lists = { contributors: [contributor], receivers: [], followers: [] }
  return {
    round,
    root: 'root',
    planId: 'plan',
    sealDigest: 'seal',
    plan: { round, root: 'root', seats: 1, council: ['a'], ...lists, shares: [] },
    parts: [0, 2, 4].map(part),
    electorate: ['a'],
    complete: [contributor],
    totalWeight: 4,
  }
}

const outcomesOf = (peer: string) => new Outcomes(peer, new Vectors(f32, partition))

test('the call that waits for the round gets it, in the memory that it brought', async () => {
  const outcomes = outcomesOf('a')
  const averageInto = new Float32Array(6)
  const waiting = outcomes.of({ round: 3, averageInto }, () => {}, { signal })
  expect([outcomes.isWanted(2), outcomes.isWanted(3)]).toEqual([false, true])
  outcomes.committed(committed(2))
  expect([...averageInto]).toEqual([0, 0, 0, 0, 0, 0])
  outcomes.committed(committed(3))
  expect(await waiting).toMatchObject({
    round: 3,
    totalWeight: 4,
    contributors: [{ peer: 'a' }],
    omitted: [],
  })
  expect([...averageInto]).toEqual([0, 1, 2, 3, 4, 5])
  expect(outcomes.isWanted(3)).toBe(false)
})

test('who follows gets every round that no call waits for, and nothing once it has stopped', async () => {
  const outcomes = outcomesOf('b')
  const followed: RoundCommitted[] = []
  const stop = outcomes.follow((outcome) => followed.push(outcome))
  outcomes.committed(committed(1))
  const waiting = outcomes.of({ round: 2, averageInto: undefined }, () => {}, { signal })
  outcomes.committed(committed(2))
  stop()
  outcomes.committed(committed(3))
  expect(followed.map(({ round }) => round)).toEqual([1])
  expect(followed[0]!.omitted).toEqual([{ start: 0, end: 6 }]) // it gave nothing
  expect((await waiting).round).toBe(2)
})

test('a call ends as its signal, a fault or the others say, and the next one waits anew', async () => {
  const outcomes = outcomesOf('a')
  const wanted = { round: 1, averageInto: undefined }
  const controller = new AbortController()
  const stopped = outcomes.of(wanted, () => {}, controller)
  controller.abort('stopped')
  await expect(stopped).rejects.toBe('stopped')
  const failed = outcomes.of(wanted, () => {}, { signal })
  outcomes.fail('the disk is full')
  await expect(failed).rejects.toBe('the disk is full')
  const behind = outcomes.of(wanted, () => outcomes.behind({ round: 7, root: 'r', peers: ['b'] }), { signal })
  expect(await behind).toEqual({ kind: 'behind', round: 7, root: 'r', peers: ['b'] })
})
