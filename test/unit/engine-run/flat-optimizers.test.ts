/** Flat optimizers against PyTorch's, step by step, and the bit-level promises that the swarm's agreement rests on. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type FlatOptimizer, integerPower } from '../../../engine/optimizers/flat.ts'
import { flatAdamW } from '../../../engine/optimizers/flat-adamw.ts'
import { flatSgd } from '../../../engine/optimizers/flat-sgd.ts'
import { nesterov, plain } from '../../../engine/optimizers/outer.ts'
import { seededRandom } from '../../../protocols/core/random.ts'
import type { ParameterSpec } from '../../../protocols/core/tensor.ts'

interface Trajectory {
  start: number[]
  gradients: number[][]
  parameters: number[][]
}

const fixture = JSON.parse(
  readFileSync(new URL('../../fixtures/flat-optimizers.json', import.meta.url), 'utf8'),
) as { shapes: number[][]; learning_rates: number[]; trajectories: Record<string, Trajectory> }

const specs: ParameterSpec[] = []
for (const shape of fixture.shapes) {
  const last = specs.at(-1)
  const length = shape.reduce((product, size) => product * size, 1)
  const offset = last ? last.offset + last.length : 0
  specs.push({ name: `p${specs.length}`, kind: 'weight', shape, offset, length })
}

const adamwOptions = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 }
const optimizers: Record<string, FlatOptimizer> = {
  plain: plain(),
  nesterov: nesterov({ momentum: 0.9 }),
  sgd: flatSgd({ momentum: 0.9, weightDecay: 0.05 }),
  sgd_clipped: flatSgd({ momentum: 0.5, weightDecay: 0, gradClip: 1.5 }),
  adamw: flatAdamW(adamwOptions, specs),
  adamw_clipped: flatAdamW({ ...adamwOptions, gradClip: 1.5 }, specs),
}

describe.each(Object.keys(fixture.trajectories))('flat optimizer %s', (name) => {
  const { start, gradients, parameters } = fixture.trajectories[name]!
  const optimizer = optimizers[name]!

  it('stays within 2e-6 of PyTorch over eight steps with changing learning rates', () => {
    const actual = Float32Array.from(start)
    const state = new Float32Array(optimizer.stateLength(actual.length))
    gradients.forEach((gradient, index) => {
      const average = Float32Array.from(gradient)
      const learningRate = fixture.learning_rates[index]!
      optimizer.step(actual, state, average, { learningRate, stepNumber: index + 1 })
      expect(average, 'the average is only read').toEqual(Float32Array.from(gradient))
      parameters[index]!.forEach((expected, i) => {
        expect(Math.abs(actual[i]! - expected), `step ${index + 1}, element ${i}`).toBeLessThan(2e-6)
      })
    })
  })
})

describe('agreement between platforms', () => {
  it('nesterov gives the bits of a chain of single-rounded f32 operations', () => {
    const random = seededRandom(3)
    const draw = () => Math.fround(random.normal())
    for (let trial = 0; trial < 200; trial++) {
      const [phi, m, delta, rate, mu] = [draw(), draw(), draw(), draw(), draw()]
      const parameters = Float32Array.of(phi)
      const state = Float32Array.of(m)
      nesterov({ momentum: mu }).step(parameters, state, Float32Array.of(delta), {
        learningRate: rate,
        stepNumber: 1,
      })
      // A Float32Array store is the only rounding here: each line is one f32 operation.
      const f32 = new Float32Array(5)
      f32[0] = mu * m
      f32[1] = f32[0]! + delta
      f32[2] = mu * f32[1]!
      f32[3] = delta + f32[2]!
      f32[4] = rate * f32[3]!
      f32[4] = phi - f32[4]!
      expect([parameters[0], state[0]]).toEqual([f32[4], f32[1]])
    }
  })

  it('raises bias corrections by multiplication, to within an ulp or two of the true power', () => {
    expect(integerPower(0.5, 20)).toBe(2 ** -20)
    expect(integerPower(3, 0)).toBe(1)
    expect(integerPower(0.999, 4321) / Math.exp(4321 * Math.log(0.999))).toBeCloseTo(1, 11)
  })
})
