/** Learning rates against nanoGPT's and PyTorch's, and the accuracy of the portable cosine. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { learningRateAt, type Schedule } from '../../../engine/optimizers/schedule.ts'
import { cosineOfHalfTurns, cosineOfTurns, sineOfTurns } from '../../../protocols/core/cosine.ts'

const fixture = JSON.parse(
  readFileSync(new URL('../../fixtures/optimizers.json', import.meta.url), 'utf8'),
) as { cosine: number[]; linear: number[] }

it('follows nanoGPT through warm-up, cosine and the end', () => {
  const schedule: Schedule = {
    kind: 'cosine',
    learningRate: 6e-4,
    finalLearningRate: 6e-5,
    warmupSteps: 10,
    totalSteps: 100,
  }
  fixture.cosine.forEach((expected, step) => {
    expect(learningRateAt(schedule, step) / expected, `step ${step}`).toBeCloseTo(1, 14)
  })
})

it("follows PyTorch's LinearLR to its end and beyond", () => {
  const schedule: Schedule = {
    kind: 'linear',
    learningRate: 0.5,
    finalLearningRate: 0.1,
    warmupSteps: 0,
    totalSteps: 20,
  }
  fixture.linear.forEach((expected, step) => {
    expect(learningRateAt(schedule, step), `step ${step}`).toBeCloseTo(expected, 14)
  })
})

it('warms a constant rate up and then keeps it', () => {
  const schedule: Schedule = { kind: 'constant', learningRate: 0.8, warmupSteps: 3 }
  expect([0, 1, 2, 3, 1000].map((step) => learningRateAt(schedule, step))).toEqual([
    0.2,
    0.4,
    0.8 * 0.75,
    0.8,
    0.8,
  ])
})

it('keeps a rate until its last steps, and falls linearly in them', () => {
  const schedule: Schedule = {
    kind: 'wsd',
    learningRate: 0.8,
    finalLearningRate: 0.2,
    warmupSteps: 3,
    decaySteps: 4,
    totalSteps: 20,
  }
  const rates = [0, 2, 3, 15, 16, 17, 18, 19, 20, 99].map((step) => learningRateAt(schedule, step))
  const expected = [0.2, 0.6, 0.8, 0.8, 0.8, 0.65, 0.5, 0.35, 0.2, 0.2]
  for (const [index, rate] of rates.entries()) expect(rate).toBeCloseTo(expected[index]!, 14)
})

it('computes the cosine to within 1e-15', () => {
  for (let i = 0; i <= 1000; i++) {
    expect(Math.abs(cosineOfHalfTurns(i / 1000) - Math.cos((Math.PI * i) / 1000))).toBeLessThan(1e-15)
  }
})

it('computes cosine and sine of whole numbers of turns to within 2e-15, and exactly at quarters', () => {
  for (const turns of [1, 7, 8, 400]) {
    for (let turn = 0; turn < turns; turn++) {
      // as wide as the angle itself is rounded
      const angle = (2 * Math.PI * turn) / turns
      expect(Math.abs(cosineOfTurns(turn, turns) - Math.cos(angle))).toBeLessThan(2e-15)
      expect(Math.abs(sineOfTurns(turn, turns) - Math.sin(angle))).toBeLessThan(2e-15)
    }
  }
  const quarters = [0, 1, 2, 3].map((turn) => [cosineOfTurns(turn, 4), sineOfTurns(turn, 4)])
  expect(quarters).toEqual([
    [1, 0],
    [0, 1],
    [-1, 0],
    [0, -1],
  ])
})
