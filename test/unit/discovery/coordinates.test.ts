/** Network coordinates: one spring by hand, and what a swarm of them settles to. */

import { expect, test } from 'vitest'
import { seededRandom } from '../../../protocols/core/random.ts'
import { coordinateMax, predictedRttMs, Vivaldi } from '../../../protocols/discovery/coordinates.ts'
import { rowDelays } from '../../../simulator/home-links/places.ts'

test('a round trip that is longer than predicted pushes away, by a quarter of what this peer is less sure', () => {
  const vivaldi = new Vivaldi(seededRandom(1))
  vivaldi.observe(120, { x: 30, y: 40, height: 10, error: 1 })
  // Predicted 50 + 0.1 + 10 = 60.1, so a step of ¼ · ½ · 59.9 = 7.4875; 50 / 60.1 of it lies in the plane.
  const { x, y, height, error } = vivaldi.coordinates!
  expect(x).toBeCloseTo(-7.4875 * (50 / 60.1) * 0.6, 10)
  expect(y).toBeCloseTo(-7.4875 * (50 / 60.1) * 0.8, 10)
  expect(height).toBeCloseTo(0.1 + 7.4875 * (10.1 / 60.1), 10)
  expect(error).toBeCloseTo(1 + 0.125 * (59.9 / 120 - 1), 10)
})

test('two peers of one place come apart, and a place is said from the eighth round trip on', () => {
  const [a, b] = [new Vivaldi(seededRandom(1)), new Vivaldi(seededRandom(2))]
  expect(a.coordinates).toBeUndefined()
  const nowhere = { x: 0, y: 0, height: 0.1, error: 1 }
  for (let time = 0; time < 7; time++) {
    a.observe(100, b.coordinates ?? nowhere)
    b.observe(100, a.coordinates!)
  }
  expect(a.place).toBeUndefined()
  for (let time = 0; time < 60; time++) {
    a.observe(100, b.coordinates!)
    b.observe(100, a.coordinates!)
  }
  expect(a.place!.every(Number.isInteger)).toBe(true)
  expect(predictedRttMs(a.coordinates!, b.coordinates!)).toBeCloseTo(100, 0)
  expect(a.coordinates!.error).toBeLessThan(0.1)
})

test('whatever is measured, coordinates stay on the map', () => {
  const vivaldi = new Vivaldi(seededRandom(1))
  const random = seededRandom(2)
  const corner = (): number => (2 * random.integer(2) - 1) * coordinateMax
  for (let time = 0; time < 500; time++) {
    const theirs = { x: corner(), y: corner(), height: random.integer(2) * coordinateMax, error: 0.01 }
    vivaldi.observe(random.integer(2) * 1e9, theirs)
    const { x, y, height, error } = vivaldi.coordinates!
    expect(Math.max(Math.abs(x), Math.abs(y), height)).toBeLessThanOrEqual(coordinateMax)
    expect(height).toBeGreaterThan(0)
    expect(error).toBeGreaterThan(0)
    expect(error).toBeLessThanOrEqual(1)
  }
})

test('rows by measured places are nearly as close as rows by the true ones', () => {
  const { unknown, measured, known } = rowDelays(256, 7)
  expect(known).toBeLessThan(0.5 * unknown)
  expect(measured).toBeLessThan(0.65 * unknown)
})
