/** The averaging experiments against published numbers, against what can be computed, and against themselves. */

import { expect, test } from 'vitest'
import { runProgram } from '../../../node/cli/program.ts'
import { errorByRound, methods, roundsUntil } from '../../../simulator/averaging/experiment.ts'
import { leastError } from '../../../simulator/averaging/least-error.ts'
import { published } from '../../../simulator/averaging/published.ts'

const methodOf = (name: string) => methods.find((method) => method.name === name)!

test.each(published)(
  'Moshpit among $peers peers with failures of $failures takes as many rounds as published, within 0.5',
  ({ peers, failures, moshpit }) => {
    const rounds = roundsUntil(methodOf('Moshpit'), { peers, failures }, { seed: 7, draws: 20 })
    expect(Math.abs(rounds.fine - moshpit.fine)).toBeLessThanOrEqual(0.5)
    expect(Math.abs(rounds.coarse - moshpit.coarse)).toBeLessThanOrEqual(0.5)
  },
)

test.each(published)(
  'SGP among $peers peers with failures of $failures takes as many rounds as published, give or take three draws in ten',
  ({ peers, failures, sgp }) => {
    const rounds = roundsUntil(methodOf('SGP'), { peers, failures }, { seed: 7, draws: 10 })
    expect(Math.abs(rounds.fine - sgp.fine)).toBeLessThanOrEqual(3)
    expect(Math.abs(rounds.coarse - sgp.coarse)).toBeLessThanOrEqual(1.5)
  },
)

test('without failures one round of ours is exact', () => {
  const rounds = roundsUntil(methodOf('Starling'), { peers: 100, failures: 0 }, { seed: 7, draws: 2 })
  expect(rounds).toEqual({ fine: 1, coarse: 1 })
})

test('what is left after a round of 1,024 peers is what failed peers hold, at 2 vectors a peer', () => {
  const failures = 0.005
  const setting = { peers: 1024, failures }
  const { median, vectorsSent } = errorByRound(methodOf('Starling, keeping'), setting, {
    rounds: 2,
    seed: 7,
    draws: 11,
  })
  // Failed peers are a share p of all, at a distance of 1 in the first round, and of √(p / N) from one mean to the
  // next.
  const floor = [failures * (1 - failures), failures ** 2 / 1024]
  expect(median[0]! / floor[0]!).toBeGreaterThan(0.6)
  expect(median[0]! / floor[0]!).toBeLessThan(1.4)
  expect(median[1]! / floor[1]!).toBeGreaterThan(0.4)
  expect(median[1]! / floor[1]!).toBeLessThan(1.6)
  expect(vectorsSent).toBeLessThanOrEqual(2.1)
  expect(vectorsSent).toBeGreaterThan(1.9)
})

test('when those that return fetch the state, the second round is exact but for a peer that failed twice', () => {
  const setting = { peers: 1024, failures: 0.005 }
  const repetition = { rounds: 2, seed: 7, draws: 11 }
  const { median, drift, vectorsSent } = errorByRound(methodOf('Starling'), setting, repetition)
  expect(median[0]).toBeLessThan(6e-3)
  expect(median[1]).toBeLessThan(1e-30)
  // What the first round's failed peers held is lost: p N values of variance 1 from a mean of N.
  expect(drift / (0.005 / 1024)).toBeGreaterThan(0.5)
  expect(drift / (0.005 / 1024)).toBeLessThan(2)
  expect(vectorsSent).toBeLessThanOrEqual(2.1)
})

test('who failed in every round has heard nobody: no method has a lower mean error', () => {
  const setting = { peers: 128, failures: 0.2 }
  const least = [1, 2].map((rounds) => leastError(setting, rounds).mean)
  expect(least[1]).toBeCloseTo(0.04)
  expect(leastError({ peers: 1024, failures: 0.005 }, 2).noneShare).toBeCloseTo(0.9747, 4)
  for (const method of methods) {
    const { mean } = errorByRound(method, setting, { rounds: 2, seed: 7, draws: 16 })
    // 82 peers failed twice, of normal values: the square of one varies by √2 of its mean.
    for (const [index, error] of mean.entries())
      expect(error / least[index]!, `${method.name}, round ${index + 1}`).toBeGreaterThan(0.6)
  }
})

test.each(['text', 'JSON'])('one seed gives the same %s twice', async (form) => {
  const words = form === 'JSON' ? ['--json'] : []
  const first = await simulate('7', words)
  expect(first).toContain('Starling')
  expect(await simulate('7', words)).toBe(first)
})

test('another seed gives other numbers', async () => {
  const [seven, eight] = [
    JSON.parse(await simulate('7', ['--json'])),
    JSON.parse(await simulate('8', ['--json'])),
  ]
  expect(seven.averaging).not.toEqual(eight.averaging)
})

async function simulate(seed: string, form: readonly string[]): Promise<string> {
  const written: string[] = []
  const stream = { write: (text: string) => void written.push(text) }
  const io = { stdout: stream, stderr: stream, env: {}, cwd: '/', signal: new AbortController().signal }
  const words = [
    'simulate',
    '--peers',
    '64',
    '--failures',
    '0.05',
    '--rounds',
    '2',
    '--draws',
    '2',
    '--seed',
    seed,
  ]
  expect(await runProgram([...words, ...form], io, '0')).toBe(0)
  return written.join('')
}
