/** The birds mean something: whose they are, whether this tab works, and whether the swarm averages. */

import { expect, test } from 'vitest'
import { Flock, type FlockScene, wireY } from '../../../browser-client/page/flock.ts'
import { seededRandom } from '../../../protocols/core/random.ts'

const scene: FlockScene = { width: 1440, height: 280, others: 3, isOwnFlying: true, isGathering: false }

function flown(flock: Flock, scene: FlockScene, seconds: number): Flock {
  for (let time = 0; time < seconds; time += 0.05) flock.step(scene, 0.05)
  return flock
}

/** Mean distance of the birds from their middle, pixels. */
function spread({ birds }: Flock): number {
  const [x, y] = [birds.reduce((sum, bird) => sum + bird.x, 0), birds.reduce((sum, bird) => sum + bird.y, 0)]
  const [midX, midY] = [x / birds.length, y / birds.length]
  return birds.reduce((sum, bird) => sum + Math.hypot(bird.x - midX, bird.y - midY), 0) / birds.length
}

test('this tab’s birds settle on the wire while it rests, and leave it when it works', () => {
  const flock = flown(new Flock(seededRandom(1)), { ...scene, isOwnFlying: false }, 20)
  const own = flock.birds.filter(({ group }) => group === 0)
  expect(own.length).toBe(12)
  for (const { x, y, isPerched } of own) {
    expect(isPerched).toBe(true)
    expect(y).toBeCloseTo(wireY(x, scene))
  }
  expect(flock.birds.some(({ group, isPerched }) => group > 0 && isPerched)).toBe(false)
  flown(flock, scene, 3)
  expect(flock.birds.some(({ isPerched }) => isPerched)).toBe(false)
})

test('the flock draws together while the swarm averages', () => {
  const flock = flown(new Flock(seededRandom(1)), scene, 20)
  const apart = spread(flock)
  expect(spread(flown(flock, { ...scene, isGathering: true }, 8))).toBeLessThan(apart / 1.5)
})

test('each other peer has its own birds, up to what a tab can spare', () => {
  const groups = (others: number) => {
    const { birds } = flown(new Flock(seededRandom(1)), { ...scene, others }, 0.1)
    return [new Set(birds.map(({ group }) => group)).size, birds.length]
  }
  expect(groups(0)).toEqual([1, 12])
  expect(groups(3)).toEqual([4, 90])
  expect(groups(500)[1]).toBe(240)
})
