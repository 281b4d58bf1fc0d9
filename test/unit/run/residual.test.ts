/** Error feedback against its arithmetic: what is not applied is kept, by exactly those who sent it. */

import { expect, test } from 'vitest'
import { reducePart } from '../../../protocols/allreduce/round/reduction.ts'
import { seededRandom } from '../../../protocols/core/random.ts'
import { Residual, residualDecay } from '../../../protocols/run/residual.ts'
import { codecFor } from '../../../protocols/wire/codecs/index.ts'

const length = 4 * 4096
const codec = codecFor('topk')

/** What allreduce does for a contributor. */
function send(update: Float32Array, residual: Residual): Uint8Array {
  const bytes = codec.encode(update)
  const sent = new Float32Array(length)
  codec.decode(bytes, sent)
  for (let i = 0; i < length; i++) residual.values[i] = update[i]! - sent[i]!
  return bytes
}

test('nothing is lost and nothing counts twice: what peers gave is what was applied and what they keep', () => {
  const random = seededRandom(1)
  const weights = [1, 2, 5]
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const residuals = weights.map(() => new Residual(length))
  const mean = new Float32Array(length)
  let roundingError = 0
  let lost = 0
  for (let round = 0; round < 5; round++) {
    const before = residuals.map(({ values }) => values.slice())
    const updates = weights.map(() => Float32Array.from({ length }, () => random.normal() ** 3))
    const given = updates.map((update, peer) => {
      const intended = update.slice()
      residuals[peer]!.addTo(intended)
      return intended
    })
    const inputs = given.map((update, peer) => ({
      bytes: send(update, residuals[peer]!),
      weight: weights[peer]!,
    }))
    const reduced = reducePart(codec, length, inputs)
    if (reduced.kind !== 'reduced') throw new Error('the parts are refused')
    codec.decode(reduced.bytes, mean)
    for (const [peer, residual] of residuals.entries()) residual.settle(given[peer]!, mean, [])
    for (let i = 0; i < length; i++) {
      const weighted = (of: (peer: number) => number) =>
        weights.reduce((sum, weight, peer) => sum + (weight * of(peer)) / total, 0)
      const meant = weighted((peer) => updates[peer]![i]! + residualDecay * before[peer]![i]!)
      const kept = weighted((peer) => residuals[peer]!.values[i]!)
      // where the mean is zero the peers keep all of it; elsewhere only the rounding of the mean to four bits is lost
      if (mean[i] === 0) lost = Math.max(lost, Math.abs(meant - kept))
      else roundingError = Math.max(roundingError, Math.abs(meant - kept - mean[i]!) / Math.abs(mean[i]!))
    }
  }
  expect(lost).toBeLessThan(1e-5)
  expect(roundingError).toBeLessThan(0.51)
  expect(roundingError).toBeGreaterThan(0)
})

test('values that are too many to be sent are sent in turn, with what was kept of them meanwhile', () => {
  const update = new Float32Array(length).fill(1)
  const residual = new Residual(length)
  const applied = new Float32Array(length)
  const sent = new Float32Array(length)
  const rounds = 256
  for (let round = 0; round < rounds; round++) {
    const given = update.slice()
    residual.addTo(given)
    codec.decode(send(given, residual), sent)
    for (let i = 0; i < length; i++) applied[i]! += sent[i]!
    residual.settle(given, sent, [])
  }
  // 64 of 4,096 a round: each value is sent every 64 rounds, four times in all, with 1 + 0.95 + … + 0.95^63 = 19.25 in
  // it, the first time with less
  const counts = applied.map((value) => value / rounds)
  expect(Math.min(...counts)).toBeGreaterThan((0.75 * 19.25) / 64)
  expect(Math.max(...counts)).toBeLessThan((1.1 * 19.25) / 64)
})

test('a part that the mean went on without comes back whole, and only that', () => {
  const residual = new Residual(8)
  const given = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8)
  residual.values.set([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
  residual.settle(given, Float32Array.of(9, 0, 9, 9, 9, 9, 9, 9), [{ start: 4, end: 6 }])
  expect([...residual.values]).toEqual([...Float32Array.of(0.1, 2, 0.3, 0.4, 5, 6, 0.7, 0.8)])
  residual.reset()
  expect([...residual.values]).toEqual(new Array(8).fill(0))
})
