/**
 * The bit-level promises of flat optimizers, on which the swarm's agreement rests. Their values:
 * compliance/optimizer.test.ts.
 */
import { describe, expect, it } from 'vitest'
import { integerPower } from '../../../engine/optimizers/flat.ts'
import { nesterov } from '../../../engine/optimizers/outer.ts'
import { seededRandom } from '../../../protocols/core/random.ts'

describe('agreement between platforms', () => {
  it('nesterov gives the bits of a chain of single-rounded f32 operations', () => {
    const random = seededRandom(3)
    const draw = () => Math.fround(random.normal())
    for (let trial = 0; trial < 200; trial++) {
      const [phi, m, delta, rate] = [draw(), draw(), draw(), draw()]
      const mu = Math.fround(random.next())
      const parameters = Float32Array.of(phi)
      const state = Float32Array.of(m)
      nesterov({ momentum: mu }).step(parameters, state, Float32Array.of(delta), {
        learningRate: rate,
        stepNumber: 1e9, // the momentum has risen
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
