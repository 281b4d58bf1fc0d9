/** A round of this peer's state is decided by the electorate of this peer's state, whatever plan a stranger invents. */

import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { AllreduceMachine } from '../../../protocols/allreduce/machine.ts'
import { resultIdentity } from '../../../protocols/allreduce/plan/parts.ts'
import type { Plan } from '../../../protocols/allreduce/plan/plan.ts'
import { planIdentity } from '../../../protocols/allreduce/plan/plan-codec.ts'
import { sealIdentity } from '../../../protocols/allreduce/plan/seal.ts'
import { defaultTiming, type Effect, type Event } from '../../../protocols/allreduce/round/events.ts'
import { codecFor } from '../../../protocols/wire/codecs/index.ts'
import { isSignatureOf, signatureOf } from '../../../simulator/signatures.ts'

const f32 = codecFor('f32')

const unmeasured = { bandwidth: undefined, place: undefined }

const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

test('a linked peer that invents plan, electorate, vote and result decides nothing', () => {
  const machine = new AllreduceMachine({
    self: 'a',
    incarnation: 1,
    partition: { elements: 4, partElements: 4 },
    encodedBytes: (elements) => 4 * elements,
    peersMin: 1,
    timing: defaultTiming,
    job: 'job',
    sign: (bytes) => signatureOf('a', bytes),
    verify: isSignatureOf,
    hash,
  })
  const effects: Effect[] = []
  const take = (event: Event, nowMs: number) => effects.push(...machine.step(event, nowMs))
  const say = (
    message: Extract<Event, { kind: 'MessageReceived' }>['message'],
    nowMs: number,
    digest?: string,
  ) =>
    take(
      {
        kind: 'MessageReceived',
        from: 'liar',
        message,
        inspection: digest === undefined ? undefined : { digest, isDecodable: true },
      },
      nowMs,
    )
  for (const peer of ['b', 'c', 'liar']) take({ kind: 'LinkUp', peer }, 0)
  take({ kind: 'StateReady', base: { round: 5, root: 'ours', electorate: ['a', 'b', 'c'] } }, 1)

  const plan: Plan = {
    round: 5,
    root: 'invented',
    seats: 1,
    council: ['liar'],
    contributors: [{ peer: 'liar', seat: 0, weight: 1, commit: '00'.repeat(32), ...unmeasured }],
    receivers: [],
    followers: [],
    shares: [{ reducers: ['liar'], firstPart: 0, partCount: 1 }],
  }
  const planId = hash(planIdentity(plan))
  const result = {
    kind: 'Result',
    round: 5,
    planId,
    part: 0,
    bitmap: Uint8Array.from([1]),
    weight: 1,
    bytes: f32.encode(Float32Array.from([9, 9, 9, 9])),
  } as const
  const digest = hash(resultIdentity(result))
  const seal = { digests: [digest], absent: [] }
  const ballot = { attempt: 0, leader: 'liar' }
  say({ kind: 'Accepted', round: 5, ballot, sealDigest: hash(sealIdentity(planId, seal)) }, 2)
  say({ kind: 'SealValue', round: 5, plan, ...seal }, 3)
  for (let nowMs = 10; nowMs < 6_000; nowMs += 500) take({ kind: 'TimerFired' }, nowMs)
  say(result, 6_001, digest)
  expect(effects.filter(({ kind }) => kind === 'Committed')).toEqual([])
})
